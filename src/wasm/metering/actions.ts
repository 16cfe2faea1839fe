/** Which instructions the planner has to do something about, beside adding up their costs. */

import { opcodeSlot, opcodeSlots } from './costs.ts';

/** What an instruction means for the plan, beside its cost. */
export const actions = {
  none: 0,
  block: 1,
  loop: 2,
  if: 3,
  else: 4,
  end: 5,
  branch: 6,
  branchIf: 7,
  branchOn: 8,
  branchTable: 9,
  leave: 10,
  throw: 11,
  unreachable: 12,
  tailCall: 13,
  indirectTailCall: 14,
  try: 15,
  catch: 16,
  delegate: 17,
  tryTable: 18,
  call: 19,
  indirectCall: 20,
  reference: 21,
  memoryLength: 22,
  memoryCopy: 23,
  memoryInit: 24,
  tableLength: 25,
  tableCopy: 26,
  tableInit: 27,
  memoryGrow: 28,
  tableGrow: 29,
  newStruct: 30,
  newFixedArray: 31,
  arrayLength: 32,
  wait: 33,
  local: 34,
} as const;

const opcodesByAction: Readonly<Partial<Record<keyof typeof actions, readonly number[]>>> = {
  block: [0x02],
  loop: [0x03],
  if: [0x04],
  else: [0x05],
  end: [0x0b],
  branch: [0x0c],
  branchIf: [0x0d],
  branchOn: [0xd5, 0xd6, 0xfb018, 0xfb019],
  branchTable: [0x0e],
  leave: [0x0f],
  throw: [0x08, 0x09, 0x0a],
  unreachable: [0x00],
  call: [0x10],
  indirectCall: [0x11, 0x14],
  tailCall: [0x12],
  indirectTailCall: [0x13, 0x15],
  reference: [0xd2],
  try: [0x06],
  catch: [0x07, 0x19],
  delegate: [0x18],
  tryTable: [0x1f],
  memoryLength: [0xfc00b],
  memoryCopy: [0xfc00a],
  memoryInit: [0xfc008],
  tableLength: [0xfc011],
  tableCopy: [0xfc00e],
  tableInit: [0xfc00c],
  memoryGrow: [0x40],
  tableGrow: [0xfc00f],
  newStruct: [0xfb000, 0xfb001],
  newFixedArray: [0xfb008],
  arrayLength: [0xfb006, 0xfb007, 0xfb009, 0xfb00a, 0xfb010, 0xfb011, 0xfb012, 0xfb013],
  wait: [0xfe001, 0xfe002],
  local: [0x20, 0x21, 0x22],
};

/** Up to this one, actions are about where control goes. */
export const lastControlAction = actions.tryTable;

/** The action of each opcode, by slot. */
export const actionTable = new Uint8Array(opcodeSlots);
for (const [name, opcodes] of Object.entries(opcodesByAction)) {
  for (const opcode of opcodes) actionTable[opcodeSlot(opcode)] = actions[name as keyof typeof actions];
}
