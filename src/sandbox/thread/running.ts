/**
 * What runs in this thread right now, and the imports of every instance, made once
 * per thread: they serve whatever runs.
 */

import { assert } from '../../base/assert.ts';
import { type CallFamilies, type LinkedModules, linkedFunctions } from '../../capabilities/host-functions.ts';
import { kernelModule, userModule, wasiModule } from '../../model/capability.ts';
import { meterModule, refuelName } from '../../wasm/metering/reserved.ts';
import { hostModule } from '../kernel/kernel.ts';
import type { FuelTank } from './fuel-tank.ts';

/** A call, or lifecycle functions that run ahead of one. */
export interface RunningGuest {
  readonly families: CallFamilies;
  readonly tank: FuelTank;
  /** The guest holds more kernel memory than it may. */
  kernelExhausted(): void;
}

export class Running {
  readonly imports: LinkedModules;
  #guest: RunningGuest | undefined;

  constructor() {
    const modules = linkedFunctions(() => this.#current.families);
    this.imports = {
      [hostModule]: { ...modules[kernelModule], kernel_exhausted: () => this.#current.kernelExhausted() },
      [userModule]: { ...modules[userModule] },
      [wasiModule]: { ...modules[wasiModule] },
      [meterModule]: { [refuelName]: (left) => this.#current.tank.refuel(left as bigint) },
    };
  }

  /** From now on host calls and fuel are this guest's. */
  enter(guest: RunningGuest): void {
    assert(this.#guest === undefined, 'A thread runs one guest at a time');
    this.#guest = guest;
  }

  leave(): void {
    this.#guest = undefined;
  }

  get #current(): RunningGuest {
    assert(this.#guest, 'Guests run only inside calls');
    return this.#guest;
  }
}
