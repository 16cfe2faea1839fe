/** Looks at the guest's stack at every slice of fuel, and counts who was there. Belongs to one call. */

import type { FuelProfile } from '../../model/fuel-profile.ts';
import type { CodeOrigin } from '../../wasm/merge/code-origin.ts';
import { guestStackOf } from './guest-stack.ts';

/** Units between two looks: fine enough for runs of a few milliseconds. */
export const profiledSliceUnits = 100_000;
/** Functions counted apart. What a module has beyond them is left out. */
const functionsMax = 10_000;

interface Counted {
  readonly function: string;
  readonly functionIndex: number;
  selfSlices: number;
  totalSlices: number;
}

export class Profiler {
  readonly #offsets: CodeOrigin;
  readonly #counted = new Map<number, Counted>();
  #slices = 0;

  constructor(offsets: CodeOrigin) {
    this.#offsets = offsets;
  }

  /** To be called with the guest on the stack. */
  look(): void {
    const frames = guestStackOf(new Error('where the guest is'), this.#offsets);
    const [innermost] = frames;
    if (innermost === undefined) return;
    this.#slices++;
    const seen = new Set<number>();
    for (const { function: name, functionIndex } of frames) {
      if (seen.has(functionIndex)) continue;
      seen.add(functionIndex);
      const counted = this.#count(name, functionIndex);
      if (counted === undefined) continue;
      counted.totalSlices++;
      if (functionIndex === innermost.functionIndex) counted.selfSlices++;
    }
  }

  get profile(): FuelProfile {
    const functions = [...this.#counted.values()].sort(
      (a, b) => b.selfSlices - a.selfSlices || b.totalSlices - a.totalSlices || a.functionIndex - b.functionIndex,
    );
    return { sliceUnits: profiledSliceUnits, slices: this.#slices, functions };
  }

  #count(name: string, functionIndex: number): Counted | undefined {
    const known = this.#counted.get(functionIndex);
    if (known !== undefined || this.#counted.size >= functionsMax) return known;
    const counted: Counted = { function: name, functionIndex, selfSlices: 0, totalSlices: 0 };
    this.#counted.set(functionIndex, counted);
    return counted;
  }
}
