/**
 * Walks over function bodies once and plans their metering: divides them into
 * metered blocks (instructions that are executed equally often, whose cost is
 * charged where they begin), adds up what the blocks cost, and notes where code
 * has to change. It changes nothing.
 */

import type { FunctionBody } from '../code.ts';
import { InstructionReader } from '../instructions.ts';
import { byteLocation, WasmError } from '../problem.ts';
import { ByteReader } from '../reader.ts';
import { type CompositeType, type DecodeContext, readBlockType } from '../types.ts';
import { actionTable, actions, lastControlAction } from './actions.ts';
import type { AddedFunctions } from './added-functions.ts';
import { opcodeSlot, prices, sixteenths, staticCosts } from './costs.ts';
import { FrameStack, frameKinds } from './frames.ts';
import { Junctions } from './junctions.ts';
import { type CodePlan, eventKinds, exits, functionFlags, straightOn } from './plan.ts';

/** What the planner has to know of the module around the code. */
export interface PlannedModule {
  readonly types: readonly CompositeType[];
  readonly memories: readonly { readonly is64: boolean }[];
  readonly tables: readonly { readonly is64: boolean }[];
  /** By imported function: the units that its direct call costs where it is made. */
  readonly importCosts: readonly number[];
  readonly added: AddedFunctions;
  /** The first local of a defined function that moves if it gets another parameter; infinite if it gets none. */
  firstMovableLocal(ordinal: number): number;
  /** Told of each function that the code refers to. */
  onReference(index: number): void;
}

const catchWithTagMax = 1;
const none = -1;

export class Planner {
  readonly #plan: CodePlan;
  readonly #module: PlannedModule;
  readonly #bytes: ByteReader;
  readonly #instructions: InstructionReader;
  /** Reads immediates a second time where the labels in them count. */
  readonly #labels: ByteReader;
  readonly #frames = new FrameStack();
  readonly #junctions = new Junctions();
  /** The metered block that the next instruction belongs to; -1 if it cannot be reached. */
  #block = none;
  #loopDepth = 0;
  /** The innermost loop, and its frame. */
  #loop = none;
  #loopFrame = none;
  #flags = 0;
  #firstMovableLocal = 0;
  /** Whether no branch, label or block has come since the last event. */
  #straight = false;

  constructor(bytes: Uint8Array, context: DecodeContext, plan: CodePlan, module: PlannedModule) {
    this.#plan = plan;
    this.#module = module;
    this.#bytes = new ByteReader(bytes, { start: 0, end: 0 }, 'function body');
    this.#instructions = new InstructionReader(this.#bytes, context);
    this.#labels = new ByteReader(bytes, { start: 0, end: bytes.length }, 'labels');
  }

  /** Plans the next body of the code section. */
  add(body: FunctionBody): void {
    const plan = this.#plan;
    this.#firstMovableLocal = this.#module.firstMovableLocal(plan.functions);
    plan.firstEvents.push(plan.events.length);
    plan.firstLocalUses.push(plan.localUses.length);
    plan.firstBlocks.push(plan.blockCosts.length);
    plan.bodyStarts.push(body.start);
    plan.codeStarts.push(body.codeStart);
    plan.bodyEnds.push(body.end);
    plan.locals.push(body.locals);
    this.#bytes.offset = body.codeStart;
    this.#bytes.end = body.end;
    this.#flags = 0;
    this.#straight = false;
    this.#loopDepth = 0;
    this.#loop = none;
    this.#loopFrame = none;
    this.#frames.depth = 0;
    this.#junctions.clear();
    this.#block = plan.addBlock(0);
    this.#charge(Math.floor(body.locals / prices.localsPerUnit));
    this.#pushFrame(frameKinds.function);
    this.#walk();
    plan.flags.push(this.#flags);
    plan.functionCosts.push(this.#costOf(plan.firstBlocks.length - 1));
    this.#junctions.settle(plan.blockCosts.used);
  }

  #costOf(ordinal: number): number {
    const { blockCosts } = this.#plan;
    let units = 0;
    for (let block = this.#plan.firstBlocks.at(ordinal); block < blockCosts.length; block++)
      units += blockCosts.at(block);
    return units;
  }

  #walk(): void {
    const instructions = this.#instructions;
    const costs = this.#plan.blockCosts;
    while (this.#frames.depth > 0 && instructions.next()) {
      const slot = opcodeSlot(instructions.opcode);
      const block = this.#block;
      if (block >= 0) costs.items[block] = (costs.items[block] as number) + (staticCosts[slot] as number);
      const action = actionTable[slot] as number;
      if (action === actions.none) continue;
      if (action === actions.local) {
        if (instructions.index >= this.#firstMovableLocal) this.#plan.localUses.push(instructions.start);
        continue;
      }
      this.#act(action);
      if (action <= lastControlAction) this.#straight = false;
    }
  }

  #act(action: number): void {
    switch (action) {
      case actions.block:
        this.#pushFrame(frameKinds.block);
        return;
      case actions.if:
        return this.#startIf();
      case actions.end:
        return this.#end();
      case actions.else:
      case actions.catch:
        return action === actions.else ? this.#startElse() : this.#startCatch();
      case actions.loop:
        return this.#startLoop();
      case actions.branchIf:
        return this.#branchIf();
      case actions.branch:
        this.#branch(this.#instructions.index, true);
        this.#leadTo(this.#frames.depth - 1 - this.#instructions.index);
        this.#block = none;
        return;
      case actions.call:
        return this.#call(eventKinds.call);
      case actions.branchTable:
        return this.#branchTable();
      default:
        this.#actRarely(action);
    }
  }

  #actRarely(action: number): void {
    const { index } = this.#instructions;
    switch (action) {
      case actions.leave:
        return this.#return();
      case actions.throw:
        this.#flags |= functionFlags.throws;
        return this.#leave(exits.failure);
      case actions.unreachable:
        this.#exit(exits.failure);
        this.#block = none;
        return;
      case actions.indirectCall:
        this.#flags |= functionFlags.hasIndirectCall;
        if (this.#block >= 0 && this.#loopDepth === 0) this.#flags |= functionFlags.callsIndirectly;
        this.#noSideExit();
        this.#push(eventKinds.indirectCall, this.#instructions.start, this.#bytes.offset, this.#block);
        return;
      case actions.tailCall:
        this.#flags |= functionFlags.hasTailCall;
        this.#call(eventKinds.tailCall);
        if (this.#block >= 0) this.#frames.escapeTo(0);
        this.#block = none;
        return;
      case actions.indirectTailCall:
        this.#flags |= functionFlags.hasTailCall;
        this.#noSideExit();
        this.#push(eventKinds.indirectCall, this.#instructions.start, none, this.#block);
        return this.#leave(exits.return);
      case actions.reference:
        this.#module.onReference(index);
        this.#push(eventKinds.reference, this.#instructions.start, index, none);
        return;
      case actions.branchOn:
        this.#noSideExit();
        return this.#branchIf();
      case actions.try:
        this.#startTry();
        this.#pushFrame(frameKinds.try);
        return;
      case actions.delegate:
        return this.#end();
      case actions.tryTable:
        return this.#startTryTable();
      case actions.wait:
        return this.#failWait();
      default:
        this.#priceOperands(action);
    }
  }

  /** Instructions whose price depends on their operands or on a type. */
  #priceOperands(action: number): void {
    const { memories, tables } = this.#module;
    const { index, secondIndex } = this.#instructions;
    const wide = (list: readonly { readonly is64: boolean }[], place: number): boolean => list[place]?.is64 === true;
    switch (action) {
      case actions.memoryLength:
        return this.#length(wide(memories, index), sixteenths.byte);
      case actions.memoryCopy:
        return this.#length(wide(memories, index) && wide(memories, secondIndex), sixteenths.byte);
      case actions.memoryInit:
        return this.#length(false, sixteenths.byte);
      case actions.tableLength:
        return this.#length(wide(tables, index), sixteenths.tableElement);
      case actions.tableCopy:
        return this.#length(wide(tables, index) && wide(tables, secondIndex), sixteenths.tableElement);
      case actions.tableInit:
        return this.#length(false, sixteenths.tableElement);
      case actions.memoryGrow:
        return this.#growth((added) => added.memoryGrowth(index, wide(memories, index)));
      case actions.tableGrow:
        return this.#growth((added) => added.tableGrowth(index, wide(tables, index)));
      case actions.newStruct:
        return this.#charge(Math.floor(this.#fieldsOf(index) / prices.fieldsPerUnit));
      case actions.newFixedArray:
        return this.#charge(Math.floor((secondIndex * this.#elementSixteenths(index)) / 16));
      case actions.arrayLength:
        return this.#length(false, this.#elementSixteenths(index));
    }
  }

  #charge(units: number): void {
    const { items } = this.#plan.blockCosts;
    if (this.#block >= 0) items[this.#block] = (items[this.#block] as number) + units;
  }

  #push(kind: number, position: number, first: number, second: number): void {
    this.#plan.events.push4(this.#straight ? kind | straightOn : kind, position, first, second);
    this.#straight = true;
  }

  /** The function is left by the instruction, in one of the ways in `exits`. */
  #exit(how: number): void {
    if (this.#block >= 0) this.#push(eventKinds.exit, this.#instructions.start, how, none);
  }

  /** Begins a metered block behind the instruction just read, if it can be reached. */
  #startBlock(junction: number): void {
    if (this.#block < 0) return;
    this.#block = this.#plan.addBlock(this.#loopDepth);
    this.#push(eventKinds.block, this.#bytes.offset, this.#block, none);
    if (junction !== none) this.#junctions.begin(junction, this.#block);
  }

  /** A junction that the current block leads to; -1 if it cannot be reached. */
  #divide(): number {
    if (this.#block < 0) return none;
    const junction = this.#junctions.add();
    this.#junctions.lead(junction, this.#block);
    return junction;
  }

  /** The junction of branches to a frame; -1 of a loop, which is charged each time that it begins. */
  #junctionOf(frame: number): number {
    const { junctions, kinds } = this.#frames;
    if (kinds[frame] === frameKinds.loop) return none;
    if (junctions[frame] === none) junctions[frame] = this.#junctions.add();
    return junctions[frame] as number;
  }

  /** Control goes from the current block to the end of a frame, and to nowhere else. */
  #leadTo(frame: number): void {
    if (this.#block < 0) return;
    const junction = this.#junctionOf(frame);
    if (junction !== none) this.#junctions.lead(junction, this.#block);
  }

  /** From a division control may also go to a frame. */
  #joinFrame(division: number, frame: number): void {
    if (division === none) return;
    const junction = this.#junctionOf(frame);
    if (junction === none) this.#junctions.leaveOpen(division);
    else this.#junctions.join(division, junction);
  }

  #startIf(): void {
    const frame = this.#pushFrame(frameKinds.if);
    const division = this.#divide();
    this.#frames.divisions[frame] = division;
    this.#startBlock(division);
  }

  #branchIf(): void {
    const { index } = this.#instructions;
    const division = this.#divide();
    this.#joinFrame(division, this.#frames.depth - 1 - index);
    this.#branch(index, false);
    this.#startBlock(division);
  }

  #pushFrame(kind: number): number {
    const frame = this.#frames.push(kind, this.#block);
    this.#frames.outerLoop[frame] = this.#loop;
    this.#frames.outerLoopFrame[frame] = this.#loopFrame;
    return frame;
  }

  #startLoop(): void {
    const plan = this.#plan;
    this.#noSideExit();
    const frame = this.#pushFrame(frameKinds.loop);
    this.#loopFrame = frame;
    if (this.#block < 0) {
      this.#loop = none;
      return;
    }
    this.#flags |= functionFlags.hasLoop;
    this.#loop = plan.addLoop(!this.#takesParameters(this.#instructions.index));
    this.#push(eventKinds.loop, this.#instructions.start, this.#loop, none);
    plan.loopHeads.set(this.#loop, this.#bytes.offset);
    this.#block = plan.addBlock(++this.#loopDepth);
    this.#push(eventKinds.loopHead, this.#bytes.offset, this.#block, this.#loop);
  }

  #takesParameters(typeIndex: number): boolean {
    const type = this.#module.types[typeIndex];
    return type?.kind === 'function' && type.parameters.length > 0;
  }

  /** The innermost loop holds something that cannot be left and entered again to refuel, or that makes it useless. */
  #noSideExit(): void {
    if (this.#loop >= 0) this.#plan.loopCandidates.set(this.#loop, 0);
  }

  #startElse(): void {
    const frames = this.#frames;
    const frame = frames.depth - 1;
    this.#endArm(frame);
    frames.kinds[frame] = frameKinds.else;
    this.#block = frames.outer[frame] as number;
    this.#startBlock(frames.divisions[frame] as number);
  }

  #startCatch(): void {
    const frame = this.#frames.depth - 1;
    this.#endArm(frame);
    this.#block = this.#frames.outer[frame] as number;
    this.#startBlock(none);
  }

  /** Control goes from the end of an arm to the end of its frame. */
  #endArm(frame: number): void {
    if (this.#block < 0) return;
    this.#frames.reached[frame] = 1;
    this.#leadTo(frame);
  }

  #end(): void {
    const frames = this.#frames;
    const frame = frames.depth - 1;
    const kind = frames.kinds[frame] as number;
    const outer = frames.outer[frame] as number;
    if (kind === frameKinds.function) this.#exit(exits.return);
    this.#endArm(frame);
    // Without an else, the end of an if is reached by not entering it.
    const reached = frames.reached[frame] === 1 || kind === frameKinds.if;
    if (kind === frameKinds.if) this.#joinFrame(frames.divisions[frame] as number, frame);
    const escaped = frames.pop();
    const live = kind === frameKinds.loop ? this.#block >= 0 : reached;
    if (kind === frameKinds.loop) this.#endLoop(this.#loop, outer);
    this.#loop = frames.outerLoop[frame] as number;
    this.#loopFrame = frames.outerLoopFrame[frame] as number;
    const junction = kind === frameKinds.loop && escaped ? this.#divide() : (frames.junctions[frame] as number);
    this.#block = outer >= 0 && live ? outer : none;
    if (kind === frameKinds.try) {
      if (junction !== none) this.#junctions.leaveOpen(junction);
      this.#startBlock(none);
    } else if (escaped) this.#startBlock(junction);
    else if (junction !== none) this.#junctions.leaveOpen(junction);
  }

  #endLoop(loop: number, outer: number): void {
    if (outer < 0) return;
    this.#loopDepth--;
    this.#push(eventKinds.loopEnd, this.#bytes.offset, loop, none);
  }

  /** A branch with one label; its cost and what follows are the caller's. */
  #branch(label: number, forSure: boolean): void {
    const target = this.#frames.depth - 1 - label;
    if (this.#block >= 0) this.#frames.branchTo(target);
    if (target === 0) this.#exitByBranch(forSure ? exits.return : exits.perhaps);
    if (this.#loop >= 0 && target < this.#loopFrame) {
      this.#push(eventKinds.label, this.#instructions.start, this.#loop, label);
    }
  }

  #branchTable(): void {
    const frames = this.#frames;
    const labels = this.#labels;
    const top = frames.depth - 1;
    labels.offset = this.#instructions.immediatesStart;
    let lowest = top;
    const division = this.#divide();
    for (let left = labels.u32(); left >= 0; left--) {
      const target = top - labels.u32();
      if (target < lowest) lowest = target;
      if (this.#block < 0) continue;
      frames.reached[target] = 1;
      this.#joinFrame(division, target);
    }
    if (this.#block >= 0) frames.escapeTo(lowest);
    if (lowest === 0) this.#exitByBranch(exits.perhaps);
    if (this.#loop >= 0) {
      this.#push(eventKinds.labels, this.#instructions.start, this.#loop, top - this.#loopFrame);
    }
    this.#block = none;
  }

  #return(): void {
    this.#exitByBranch(exits.return);
    if (this.#block >= 0) this.#frames.escapeTo(0);
    this.#block = none;
    this.#push(eventKinds.return, this.#instructions.start, this.#frames.depth - 1, this.#loop);
  }

  #exitByBranch(how: number): void {
    this.#flags |= functionFlags.returnsEarly;
    this.#exit(how);
  }

  #leave(how: number): void {
    this.#exit(how);
    if (this.#block >= 0) this.#frames.escapeTo(0);
    this.#block = none;
  }

  #call(kind: number): void {
    const { index, start } = this.#instructions;
    const { importCosts } = this.#module;
    if (index < importCosts.length) this.#charge((importCosts[index] as number) - (staticCosts[0x10] as number));
    this.#push(kind, start, index, this.#block);
  }

  #startTry(): void {
    this.#flags |= functionFlags.hasTry;
    this.#noSideExit();
  }

  /** Labels of catch clauses count from outside the try_table. */
  #startTryTable(): void {
    const labels = this.#labels;
    const top = this.#frames.depth - 1;
    this.#startTry();
    let lowest = top;
    labels.offset = this.#instructions.immediatesStart;
    readBlockType(labels, this.#instructions.context);
    const clauses = labels.u32();
    for (let left = clauses; left > 0; left--) {
      if (labels.u8() <= catchWithTagMax) labels.u32();
      const target = top - labels.u32();
      if (target < lowest) lowest = target;
      if (this.#block < 0) continue;
      this.#frames.reached[target] = 1;
      const junction = this.#junctionOf(target);
      if (junction !== none) this.#junctions.leaveOpen(junction);
    }
    const frame = this.#pushFrame(frameKinds.block);
    if (clauses > 0 && this.#block >= 0) this.#frames.lowest[frame] = lowest;
  }

  /** The operand on top is a length: an added function takes it, charges for it and gives it back. */
  #length(is64: boolean, units: number): void {
    if (this.#block < 0) return;
    this.#flags |= functionFlags.callsAdded;
    this.#push(eventKinds.length, this.#instructions.start, this.#module.added.length(is64, units), this.#block);
  }

  #growth(added: (functions: AddedFunctions) => number): void {
    if (this.#block < 0) return;
    this.#flags |= functionFlags.callsAdded;
    this.#push(eventKinds.growth, this.#bytes.offset, added(this.#module.added), this.#block);
  }

  #fieldsOf(typeIndex: number): number {
    const type = this.#module.types[typeIndex];
    return type?.kind === 'struct' ? type.fields : 0;
  }

  #elementSixteenths(typeIndex: number): number {
    const type = this.#module.types[typeIndex];
    if (type?.kind !== 'array') return 0;
    return type.elementBytes ?? sixteenths.arrayReference;
  }

  #failWait(): never {
    throw new WasmError({
      reason: 'WASM_FEATURE_NOT_ALLOWED',
      location: byteLocation(this.#instructions.start),
      message: 'A guest cannot wait for other threads (memory.atomic.wait): build without threads',
    });
  }
}
