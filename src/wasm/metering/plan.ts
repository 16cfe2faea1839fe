/**
 * What the planner found in all function bodies of a module: metered blocks,
 * loops, and the places where code has to change. Everything is kept in lists of
 * integers, because a large module has a million of each.
 */

import { IntList } from '../int-list.ts';

/** Kinds of places. Each has a position in the module and up to two arguments. */
export const eventKinds = {
  /** A metered block begins (block). */
  block: 0,
  /** A loop instruction begins (loop). */
  loop: 1,
  /** Its first block begins, after the type of the loop (block, loop). */
  loopHead: 2,
  /** Behind the end of a loop (loop). */
  loopEnd: 3,
  /** A direct call begins (function index, block or -1 if it cannot be reached). */
  call: 4,
  /** A call through a table or a reference begins (position behind it, or -1 of a tail call; block or -1). */
  indirectCall: 5,
  /** A direct tail call begins (function index, block or -1). */
  tailCall: 6,
  /** A ref.func begins (function index). */
  reference: 7,
  /** An instruction begins whose topmost operand is a length to be paid for (added function, block). */
  length: 8,
  /** Behind an instruction that tells whether something grew (added function, block). */
  growth: 9,
  /** An instruction begins that leaves the function (one of exits). */
  exit: 10,
  /** A branch with one label begins that leaves the innermost loop around it (loop, label). */
  label: 11,
  /** A br_table begins inside a loop (loop, number of labels that stay in the loop). */
  labels: 12,
  /** A return begins (label of the function, innermost loop around it or -1). */
  return: 13,
} as const;

/** How an instruction leaves the function. */
export const exits = {
  /** By a branch that may not be taken. */
  perhaps: 0,
  /** With its results. */
  return: 1,
  /** Without them: by a trap or an exception. */
  failure: 2,
} as const;

export const eventFields = 4;
export const eventKindMask = 0xf;
/** Set in an event's kind if no branch, label or block lies between it and the event before. */
export const straightOn = 0x10;

/** Bits of what is known of a function. */
export const functionFlags = {
  hasTry: 1,
  hasLoop: 2,
  hasIndirectCall: 4,
  hasTailCall: 8,
  throws: 16,
  /** It calls functions that metering adds, other than the slow path. */
  callsAdded: 32,
  /** It has an indirect call outside of all loops. */
  callsIndirectly: 64,
  /** It returns or branches to its end from elsewhere. */
  returnsEarly: 128,
} as const;

export class CodePlan {
  /** Kind, position and two arguments of each event; positions ascend within a function. */
  readonly events = new IntList();
  /** The static cost of each metered block. */
  readonly blockCosts = new IntList();
  /** How many loops are around each metered block. */
  readonly blockDepths = new IntList();
  /** Whether each loop might be left to refuel: 1 or 0. */
  readonly loopCandidates = new IntList();
  /** Where the first block of each loop begins. */
  readonly loopHeads = new IntList();
  /** By function: its first event, first block, flags, where its body and its instructions begin and where it ends. */
  readonly firstEvents = new IntList();
  readonly firstBlocks = new IntList();
  readonly flags = new IntList();
  readonly bodyStarts = new IntList();
  readonly codeStarts = new IntList();
  readonly bodyEnds = new IntList();
  readonly locals = new IntList();
  /** Where instructions begin that use declared locals which may have to move. */
  readonly localUses = new IntList();
  /** By function, the first of them. */
  readonly firstLocalUses = new IntList();
  /** By function: the static cost of all its instructions together. */
  readonly functionCosts = new IntList();

  get functions(): number {
    return this.flags.length;
  }

  kindOf(event: number): number {
    return this.events.at(event) & eventKindMask;
  }

  addBlock(depth: number): number {
    this.blockCosts.push(0);
    this.blockDepths.push(depth);
    return this.blockCosts.length - 1;
  }

  addLoop(candidate: boolean): number {
    this.loopCandidates.push(candidate ? 1 : 0);
    this.loopHeads.push(0);
    return this.loopCandidates.length - 1;
  }

  /** Index of the event behind the last of a function. */
  eventsEnd(ordinal: number): number {
    return ordinal + 1 < this.functions ? this.firstEvents.at(ordinal + 1) : this.events.length;
  }

  localUsesEnd(ordinal: number): number {
    return ordinal + 1 < this.functions ? this.firstLocalUses.at(ordinal + 1) : this.localUses.length;
  }

  blocksEnd(ordinal: number): number {
    return ordinal + 1 < this.functions ? this.firstBlocks.at(ordinal + 1) : this.blockCosts.length;
  }
}
