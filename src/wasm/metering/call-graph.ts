/** Which defined functions call which directly, and walks over that graph. Functions are named by their ordinals. */

import { IntList } from '../int-list.ts';
import { type CodePlan, eventFields, eventKinds } from './plan.ts';

/** Direct calls of defined functions that can be reached, tail calls included. */
export interface DirectCalls {
  readonly callers: Int32Array;
  readonly callees: Int32Array;
  /** The metered block of each call. */
  readonly blocks: Int32Array;
  /** Functions (1) that call an import. */
  readonly callsImport: Uint8Array;
  /** Functions (1) that are called in place of a caller's return. */
  readonly tailCalled: Uint8Array;
}

export function directCallsOf(plan: CodePlan, importedFunctions: number): DirectCalls {
  const callers = new IntList();
  const callees = new IntList();
  const blocks = new IntList();
  const callsImport = new Uint8Array(plan.functions);
  const tailCalled = new Uint8Array(plan.functions);
  const { events } = plan;
  for (let ordinal = 0; ordinal < plan.functions; ordinal++) {
    const end = plan.eventsEnd(ordinal);
    for (let at = plan.firstEvents.at(ordinal); at < end; at += eventFields) {
      const kind = plan.kindOf(at);
      if (kind !== eventKinds.call && kind !== eventKinds.tailCall) continue;
      const callee = events.at(at + 2) - importedFunctions;
      // Also where it cannot be reached: the types have to fit there, too.
      if (kind === eventKinds.tailCall && callee >= 0) tailCalled[callee] = 1;
      const block = events.at(at + 3);
      if (block < 0) continue;
      if (callee < 0) {
        callsImport[ordinal] = 1;
        continue;
      }
      callers.push(ordinal);
      callees.push(callee);
      blocks.push(block);
    }
  }
  return { callers: callers.used, callees: callees.used, blocks: blocks.used, callsImport, tailCalled };
}

export interface DepthFirstVisitor {
  /** Whether a call belongs to the graph. */
  counts(call: number): boolean;
  /** A function calls another that is being visited, or itself. */
  recurs(caller: number, callee: number): void;
  /** All that the function calls has been left or is being visited. */
  leave(ordinal: number, calls: Int32Array): void;
}

const unseen = 0;
const entered = 1;
const left = 2;

/** Visits functions before those who call them, without recursion of its own: chains can be as long as a module allows. */
export function visitDepthFirst(
  functions: number,
  { callers, callees }: DirectCalls,
  visitor: DepthFirstVisitor,
): void {
  const callsOf = groupBy(functions, callers);
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
        visitor.leave(top.ordinal, top.calls);
        stack.pop();
        continue;
      }
      if (!visitor.counts(call)) continue;
      const callee = callees[call] as number;
      if (states[callee] === unseen) enter(callee);
      else if (states[callee] === entered) visitor.recurs(top.ordinal, callee);
    }
  }
}

/**
 * Visits functions after all that they call, as far as calls count. A visitor
 * that returns false keeps the callers from being visited; recursion does, too.
 */
export function visitCalleesFirst(
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
function groupBy(functions: number, members: Int32Array): (ordinal: number) => Int32Array {
  const ends = new Int32Array(functions + 1);
  for (const member of members) ends[member]!++;
  for (let ordinal = 1; ordinal <= functions; ordinal++) ends[ordinal]! += ends[ordinal - 1]!;
  const grouped = new Int32Array(members.length);
  const places = ends.slice();
  for (const [call, member] of members.entries()) grouped[--places[member]!] = call;
  return (ordinal) => grouped.subarray(places[ordinal], ends[ordinal]);
}
