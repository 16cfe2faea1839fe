/** Decides, function by function, where the counter is kept and where it is checked. It changes no code. */

import type { Charges } from './charges.ts';
import { type CodePlan, eventFields, eventKinds, functionFlags } from './plan.ts';

/** Where the counter may be kept. Every strategy counts the same. */
export interface CounterStrategy {
  /** In a local, in functions where that pays. */
  readonly cached: boolean;
  /** Innermost loops are left to refuel, so that there is no call in them. */
  readonly sideExits: boolean;
  /** Functions whose callers are all known are passed the counter and give it back. */
  readonly passed: boolean;
}

export const counterStrategyDefault: CounterStrategy = { cached: true, sideExits: true, passed: true };

export interface CounterChoice {
  /** Whether the counter is kept in a local. */
  readonly cached: boolean;
  /** Whether that local is the last parameter, with which the counter comes; it goes back as the last result. */
  readonly passed: boolean;
  readonly checksEntry: boolean;
  /** Whether a local has to be declared. */
  readonly needsLocal: boolean;
}

/** What has been decided of all functions together. */
export interface CountedFunctions {
  readonly charges: Charges;
  /** Functions (1) that check the counter when they are entered. */
  readonly checked: Uint8Array;
  /** Functions (1) that are passed the counter. */
  readonly passed: Uint8Array;
}

/** Code inside d loops weighs 8^d, at most 8^4. */
const depthBits = 3;
const depthMax = 4;
/** A counter in a local must save so many charges for each call around which it is put back. */
const chargesPerCall = 1.5;

export class CounterChooser {
  /** Loops (1) that are left to refuel. */
  readonly sideExits: Uint8Array;
  readonly #plan: CodePlan;
  readonly #functions: CountedFunctions;
  readonly #importedFunctions: number;
  readonly #strategy: CounterStrategy;

  constructor(plan: CodePlan, functions: CountedFunctions, importedFunctions: number, strategy: CounterStrategy) {
    this.#plan = plan;
    this.#functions = functions;
    this.#importedFunctions = importedFunctions;
    this.#strategy = strategy;
    this.sideExits = new Uint8Array(plan.loopCandidates.length);
  }

  choose(ordinal: number): CounterChoice {
    const { chargeWeight, callWeight } = this.#weigh(ordinal);
    const { charges, checked, passed } = this.#functions;
    const flags = this.#plan.flags.at(ordinal);
    const entryCharge = charges.blocks[this.#plan.firstBlocks.at(ordinal)] as number;
    const hasLoop = (flags & functionFlags.hasLoop) !== 0;
    const isPassed = passed[ordinal] === 1;
    const pays = hasLoop && (flags & functionFlags.hasTry) === 0 && chargeWeight > chargesPerCall * callWeight;
    const cached = isPassed || (this.#strategy.cached && pays);
    if (!cached || !this.#strategy.sideExits) this.#forgetSideExits(ordinal);
    const checksEntry = checked[ordinal] === 1;
    const needsLocal = !isPassed && (cached || hasLoop || (checksEntry && entryCharge > 0));
    return { cached, passed: isPassed, checksEntry, needsLocal };
  }

  /** Whether a call of the function leaves the counter alone. */
  isSilent(index: number): boolean {
    return index >= this.#importedFunctions && this.#functions.charges.silent[index - this.#importedFunctions] === 1;
  }

  /** Whether a call of the function takes the counter along and brings it back. */
  isPassed(index: number): boolean {
    return index >= this.#importedFunctions && this.#functions.passed[index - this.#importedFunctions] === 1;
  }

  /** Adds up the charges and the calls of a function, and finds its side exits. */
  #weigh(ordinal: number): { readonly chargeWeight: number; readonly callWeight: number } {
    const plan = this.#plan;
    const { blocks } = this.#functions.charges;
    let chargeWeight = (blocks[plan.firstBlocks.at(ordinal)] as number) > 0 ? 1 : 0;
    let callWeight = 0;
    let loop = -1;
    for (let at = plan.firstEvents.at(ordinal), end = plan.eventsEnd(ordinal); at < end; at += eventFields) {
      const kind = plan.kindOf(at);
      const argument = plan.events.at(at + 2);
      if (kind === eventKinds.block || kind === eventKinds.loopHead) {
        if ((blocks[argument] as number) > 0) chargeWeight += this.#weight(argument);
      } else if (kind === eventKinds.loop) {
        loop = argument;
        this.sideExits[loop] = plan.loopCandidates.at(loop);
      } else if (kind === eventKinds.loopEnd) {
        loop = -1;
      } else if (this.touchesCounter(kind, argument)) {
        const block = plan.events.at(at + 3);
        if (block < 0) continue;
        callWeight += this.#weight(block);
        if (loop >= 0) this.sideExits[loop] = 0;
      } else if (kind === eventKinds.call && this.isPassed(argument)) {
        // With the counter in the global, such a call costs what a charge does.
        const block = plan.events.at(at + 3);
        if (block >= 0) chargeWeight += this.#weight(block);
      }
    }
    return { chargeWeight, callWeight };
  }

  /** Whether other code may look at the counter in the global or change it during the event. */
  touchesCounter(kind: number, argument: number): boolean {
    if (kind === eventKinds.call || kind === eventKinds.tailCall) {
      return !this.isSilent(argument) && !this.isPassed(argument);
    }
    return kind === eventKinds.indirectCall || kind === eventKinds.length || kind === eventKinds.growth;
  }

  #weight(block: number): number {
    return 1 << (depthBits * Math.min(this.#plan.blockDepths.at(block), depthMax));
  }

  #forgetSideExits(ordinal: number): void {
    const { events } = this.#plan;
    for (
      let at = this.#plan.firstEvents.at(ordinal), end = this.#plan.eventsEnd(ordinal);
      at < end;
      at += eventFields
    ) {
      if (this.#plan.kindOf(at) === eventKinds.loop) this.sideExits[events.at(at + 2)] = 0;
    }
  }
}
