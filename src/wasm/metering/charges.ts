/**
 * Decides who pays for what: what a function is bound to do when it is entered is
 * charged where it is called, as part of the caller's block, so that small
 * functions cost nothing to meter. The sums stay the same. It changes no code.
 */

import { IntList } from '../int-list.ts';
import { type CodePlan, eventFields, eventKinds, functionFlags } from './plan.ts';

export interface Charges {
  /** Units of each function's entry that its callers pay, by ordinal; 0 if it pays for itself. */
  readonly paidByCallers: Float64Array;
  /** Units charged where each metered block begins: 0 for the first of a function whose callers pay for it. */
  readonly blocks: Float64Array;
  /**
   * Functions (1) that never touch the counter, as their callers pay for all that
   * they do. They are not recursive, do not loop and do not throw.
   */
  readonly silent: Uint8Array;
  /** Functions (1) that check the counter when they are entered. */
  readonly checked: Uint8Array;
}

/** A function whose entry costs more than this charges itself, so that no caller's block becomes too dear. */
export const entryCostMax = 4_096;
/** A function that with all that it calls unchecked may cost more than this checks when it is entered. */
const uncheckedCostMax = 16_384;

/** `referenced` marks functions (1) that tables and references lead to: who calls them so does not know what to pay. */
export function distributeCharges(plan: CodePlan, referenced: Uint8Array, importedFunctions: number): Charges {
  const calls = directCallsOf(plan, importedFunctions);
  const blocks = Float64Array.from(plan.blockCosts.used);
  const paidByCallers = entriesPaidByCallers(plan, calls, referenced);
  for (const [call, block] of calls.blocks.entries()) {
    blocks[block] = (blocks[block] as number) + (paidByCallers[calls.callees[call] as number] as number);
  }
  for (const [ordinal, units] of paidByCallers.entries()) if (units > 0) blocks[plan.firstBlocks.at(ordinal)] = 0;
  const silent = silentFunctions(plan, calls, blocks);
  return { blocks, paidByCallers, silent, checked: checkedFunctions(plan, calls) };
}

/** Direct calls of defined functions that can be reached, tail calls included; functions by their ordinals. */
interface DirectCalls {
  readonly callers: Int32Array;
  readonly callees: Int32Array;
  /** The metered block of each call. */
  readonly blocks: Int32Array;
  /** Functions (1) that call an import. */
  readonly callsImport: Uint8Array;
}

function directCallsOf(plan: CodePlan, importedFunctions: number): DirectCalls {
  const callers = new IntList();
  const callees = new IntList();
  const blocks = new IntList();
  const callsImport = new Uint8Array(plan.functions);
  const { events } = plan;
  for (let ordinal = 0; ordinal < plan.functions; ordinal++) {
    const end = plan.eventsEnd(ordinal);
    for (let at = plan.firstEvents.at(ordinal); at < end; at += eventFields) {
      const kind = plan.kindOf(at);
      const block = events.at(at + 3);
      if ((kind !== eventKinds.call && kind !== eventKinds.tailCall) || block < 0) continue;
      const callee = events.at(at + 2) - importedFunctions;
      if (callee < 0) {
        callsImport[ordinal] = 1;
        continue;
      }
      callers.push(ordinal);
      callees.push(callee);
      blocks.push(block);
    }
  }
  return { callers: callers.used, callees: callees.used, blocks: blocks.used, callsImport };
}

/** Units of each function's entry that its callers pay; 0 if it pays for itself. */
function entriesPaidByCallers(plan: CodePlan, calls: DirectCalls, referenced: Uint8Array): Float64Array {
  const totals = Float64Array.from(plan.firstBlocks.used, (block) => plan.blockCosts.at(block));
  const paid = new Float64Array(plan.functions);
  const isBound = (call: number): boolean => calls.blocks[call] === plan.firstBlocks.at(calls.callers[call] as number);
  visitCalleesFirst(plan.functions, calls, isBound, (ordinal, callsOfIt) => {
    const total = totals[ordinal] as number;
    if (referenced[ordinal] === 1 || total > entryCostMax) return true;
    paid[ordinal] = total;
    for (const call of callsOfIt) {
      if (isBound(call)) totals[calls.callers[call] as number]! += total;
    }
    return true;
  });
  return paid;
}

/**
 * Functions that check when they are entered: so many that no more than
 * uncheckedCostMax is done in calls without a check. Of every recursion at least
 * one function checks. Loops check by themselves.
 */
function checkedFunctions(plan: CodePlan, calls: DirectCalls): Uint8Array {
  const checked = new Uint8Array(plan.functions);
  const work = Float64Array.from(plan.functionCosts.used);
  for (let ordinal = 0; ordinal < plan.functions; ordinal++) {
    if ((plan.flags.at(ordinal) & (hasIndirectCall | hasTailCall)) !== 0) checked[ordinal] = 1;
  }
  const callsOf = groupBy(plan.functions, calls.callers);
  visitDepthFirst(plan.functions, (ordinal) => callsOf(ordinal), calls.callees, {
    recurs: (callee) => {
      checked[callee] = 1;
    },
    leave: (ordinal) => {
      for (const call of callsOf(ordinal)) {
        const callee = calls.callees[call] as number;
        if (checked[callee] === 0) work[ordinal]! += work[callee]!;
      }
      if (work[ordinal]! > uncheckedCostMax) checked[ordinal] = 1;
    },
  });
  return checked;
}

interface Visitor {
  /** A function calls another that is being visited. */
  recurs(callee: number): void;
  /** All that the function calls has been left or is being visited. */
  leave(ordinal: number): void;
}

const unseen = 0;
const entered = 1;
const left = 2;

/** Visits functions before those who call them, without recursion of its own: chains can be as long as a module allows. */
function visitDepthFirst(
  functions: number,
  callsOf: (ordinal: number) => Int32Array,
  callees: Int32Array,
  visitor: Visitor,
): void {
  const states = new Uint8Array(functions);
  const stack: { readonly ordinal: number; readonly calls: Int32Array; next: number }[] = [];
  const enter = (ordinal: number): void => {
    states[ordinal] = entered;
    stack.push({ ordinal, calls: callsOf(ordinal), next: 0 });
  };
  for (let root = 0; root < functions; root++) {
    if (states[root] === unseen) enter(root);
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      const call = top.calls[top.next++];
      if (call === undefined) {
        states[top.ordinal] = left;
        visitor.leave(top.ordinal);
        stack.pop();
        continue;
      }
      const callee = callees[call] as number;
      if (states[callee] === unseen) enter(callee);
      else if (states[callee] === entered) visitor.recurs(callee);
    }
  }
}

const { hasTry, hasLoop, hasIndirectCall, hasTailCall, throws, callsAdded } = functionFlags;
const busyFlags = hasTry | hasLoop | hasIndirectCall | hasTailCall | throws | callsAdded;

function silentFunctions(plan: CodePlan, calls: DirectCalls, blocks: Float64Array): Uint8Array {
  const silent = new Uint8Array(plan.functions);
  const isFree = (ordinal: number): boolean => {
    const end = plan.blocksEnd(ordinal);
    for (let block = plan.firstBlocks.at(ordinal); block < end; block++)
      if ((blocks[block] as number) > 0) return false;
    return (plan.flags.at(ordinal) & busyFlags) === 0 && calls.callsImport[ordinal] === 0;
  };
  visitCalleesFirst(
    plan.functions,
    calls,
    () => true,
    (ordinal) => {
      if (isFree(ordinal)) silent[ordinal] = 1;
      return silent[ordinal] === 1;
    },
  );
  return silent;
}

/**
 * Visits functions after all that they call, as far as calls count. A visitor
 * that returns false keeps the callers from being visited; recursion does, too.
 */
function visitCalleesFirst(
  functions: number,
  calls: DirectCalls,
  counts: (call: number) => boolean,
  visit: (ordinal: number, callsOfIt: Int32Array) => boolean,
): void {
  const { callers, callees } = calls;
  const waiting = new Int32Array(functions);
  for (const [call, caller] of callers.entries()) if (counts(call)) waiting[caller]!++;
  const callsOf = groupBy(functions, callees);
  const ready: number[] = [];
  for (const [ordinal, count] of waiting.entries()) if (count === 0) ready.push(ordinal);
  for (let ordinal = ready.pop(); ordinal !== undefined; ordinal = ready.pop()) {
    const callsOfIt = callsOf(ordinal);
    if (!visit(ordinal, callsOfIt)) continue;
    for (const call of callsOfIt) {
      const caller = callers[call] as number;
      if (counts(call) && --waiting[caller]! === 0) ready.push(caller);
    }
  }
}

/** The calls of each function: those that it makes or those of it, whichever it is in the list. */
function groupBy(functions: number, callees: Int32Array): (ordinal: number) => Int32Array {
  const ends = new Int32Array(functions + 1);
  for (const callee of callees) ends[callee]!++;
  for (let ordinal = 1; ordinal <= functions; ordinal++) ends[ordinal]! += ends[ordinal - 1]!;
  const grouped = new Int32Array(callees.length);
  const places = ends.slice();
  for (const [call, callee] of callees.entries()) grouped[--places[callee]!] = call;
  return (ordinal) => grouped.subarray(places[ordinal], ends[ordinal]);
}
