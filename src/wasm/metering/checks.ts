/**
 * Decides which functions check the counter when they are entered: so many that
 * what is done in calls without a check is bounded, and at least one of every
 * recursion. Loops check by themselves, each time that they begin, and so before
 * every call inside them.
 */

import { type DirectCalls, visitDepthFirst } from './call-graph.ts';
import { type CodePlan, functionFlags } from './plan.ts';

/** A function that with all that it calls unchecked may cost more than this checks when it is entered. */
const uncheckedCostMax = 16_384;
/** All that a function calls unchecked may cost so much together, half a slice: of more the dearest check. */
const uncheckedCallsCostMax = 1_048_576;

/** Functions (1) that check the counter when they are entered. */
export function checkedFunctions(plan: CodePlan, calls: DirectCalls): Uint8Array {
  const checked = new Uint8Array(plan.functions);
  /** What each function may cost until something is checked. */
  const costs = Float64Array.from(plan.functionCosts.used);
  const { callsIndirectly, hasTailCall } = functionFlags;
  for (let ordinal = 0; ordinal < plan.functions; ordinal++) {
    if ((plan.flags.at(ordinal) & (callsIndirectly | hasTailCall)) !== 0) checked[ordinal] = 1;
  }
  const isOutsideLoops = (call: number): boolean => plan.blockDepths.at(calls.blocks[call] as number) === 0;
  const calleeOf = (call: number): number => calls.callees[call] as number;
  const sum = (some: Int32Array): number =>
    some.reduce((total, call) => total + (checked[calleeOf(call)] === 1 ? 0 : (costs[calleeOf(call)] as number)), 0);
  visitDepthFirst(plan.functions, calls, {
    counts: isOutsideLoops,
    recurs: (caller, callee) => {
      if (checked[caller] === 1 || checked[callee] === 1) return;
      // A check costs a large function less than a small one, which is called more often.
      checked[plan.functionCosts.at(caller) > plan.functionCosts.at(callee) ? caller : callee] = 1;
    },
    leave: (ordinal, callsOfIt) => {
      costs[ordinal]! += sum(callsOfIt.filter(isOutsideLoops));
      if (costs[ordinal]! > uncheckedCostMax) checked[ordinal] = 1;
      if (sum(callsOfIt) <= uncheckedCallsCostMax) return;
      const share = uncheckedCallsCostMax / callsOfIt.length;
      for (const call of callsOfIt) if (costs[calleeOf(call)]! > share) checked[calleeOf(call)] = 1;
    },
  });
  return checked;
}
