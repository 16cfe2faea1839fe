/**
 * Decides which functions check the counter when they are entered: so many that
 * no more than a bounded cost is done in calls without a check, and at least one
 * of every recursion. Loops check by themselves, each time that they begin, and
 * so before every call inside them.
 */

import { type DirectCalls, visitDepthFirst } from './call-graph.ts';
import { type CodePlan, functionFlags } from './plan.ts';

/** A function that with all that it calls unchecked may cost more than this checks when it is entered. */
const uncheckedCostMax = 16_384;

/** Functions (1) that check the counter when they are entered. */
export function checkedFunctions(plan: CodePlan, calls: DirectCalls): Uint8Array {
  const checked = new Uint8Array(plan.functions);
  const work = Float64Array.from(plan.functionCosts.used);
  const { callsIndirectly, hasTailCall } = functionFlags;
  for (let ordinal = 0; ordinal < plan.functions; ordinal++) {
    if ((plan.flags.at(ordinal) & (callsIndirectly | hasTailCall)) !== 0) checked[ordinal] = 1;
  }
  const isOutsideLoops = (call: number): boolean => plan.blockDepths.at(calls.blocks[call] as number) === 0;
  visitDepthFirst(plan.functions, calls, {
    counts: isOutsideLoops,
    recurs: (caller, callee) => {
      if (checked[caller] === 1 || checked[callee] === 1) return;
      // A check costs a large function less than a small one, which is called more often.
      checked[plan.functionCosts.at(caller) > plan.functionCosts.at(callee) ? caller : callee] = 1;
    },
    leave: (ordinal, callsOfIt) => {
      for (const call of callsOfIt) {
        const callee = calls.callees[call] as number;
        if (isOutsideLoops(call) && checked[callee] === 0) work[ordinal]! += work[callee]!;
      }
      if (work[ordinal]! > uncheckedCostMax) checked[ordinal] = 1;
    },
  });
  return checked;
}
