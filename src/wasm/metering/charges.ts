/**
 * Decides who pays for what: what a function is bound to do when it is entered is
 * charged where it is called, as part of the caller's block, so that small
 * functions cost nothing to meter. The sums stay the same. It changes no code.
 */

import { type DirectCalls, visitCalleesFirst } from './call-graph.ts';
import { type CodePlan, functionFlags } from './plan.ts';

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
}

/** A function whose entry costs more than this charges itself, so that no caller's block becomes too dear. */
export const entryCostMax = 4_096;

/** `referenced` marks functions (1) that tables and references lead to: who calls them so does not know what to pay. */
export function distributeCharges(plan: CodePlan, calls: DirectCalls, referenced: Uint8Array): Charges {
  const blocks = Float64Array.from(plan.blockCosts.used);
  const paidByCallers = entriesPaidByCallers(plan, calls, referenced);
  for (const [call, block] of calls.blocks.entries()) {
    blocks[block] = (blocks[block] as number) + (paidByCallers[calls.callees[call] as number] as number);
  }
  for (const [ordinal, units] of paidByCallers.entries()) if (units > 0) blocks[plan.firstBlocks.at(ordinal)] = 0;
  return { blocks, paidByCallers, silent: silentFunctions(plan, calls, blocks) };
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
