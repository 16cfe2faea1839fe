/**
 * The host's side of metering, as small as it can be: grants fuel slice by slice
 * up to a limit. The one that guests really meet does more; both keep to this
 * protocol.
 */

import { fuelGlobal, growFailedGlobal, meterModule, refuelName } from '../../src/wasm/metering/reserved.ts';

export interface FuelHostOptions {
  /** Units of the whole run; default: no limit to speak of. */
  readonly limit?: bigint;
  readonly slice?: bigint;
}

const limitDefault = 1n << 50n;
const sliceDefault = 2_000_000n;

/** Counts the fuel of one instance. */
export class FuelHost {
  readonly #limit: bigint;
  readonly #slice: bigint;
  #granted = 0n;
  #counter: WebAssembly.Global<'i64'> | undefined;
  /** Added by host functions whose price is not known where they are called. */
  fees = 0n;
  refuels = 0;
  /** Whether the host said no. */
  stopped = false;

  constructor({ limit = limitDefault, slice = sliceDefault }: FuelHostOptions = {}) {
    this.#limit = limit;
    this.#slice = slice;
  }

  /** Imports of a metered module, with those of the guest. */
  imports(guest: WebAssembly.Imports = {}): WebAssembly.Imports {
    return { ...guest, [meterModule]: { [refuelName]: (left: bigint) => this.#refuel(left) } };
  }

  attach({ exports }: WebAssembly.Instance): void {
    this.#counter = exports[fuelGlobal] as WebAssembly.Global<'i64'>;
  }

  /** What has been used so far. */
  get used(): bigint {
    return this.#granted - BigInt(this.#counter?.value ?? 0) + this.fees;
  }

  /** The verdict over what has run: the last charges of a function are not checked by the guest itself. */
  get exhausted(): boolean {
    return this.stopped || this.used > this.#limit;
  }

  /** Never throws: what a host function throws, a guest can catch. */
  #refuel(left: bigint): bigint {
    this.refuels++;
    const used = this.#granted - left + this.fees;
    const wanted = (left > 0n ? left : 0n) + this.#slice;
    const possible = this.#limit - used;
    const next = wanted < possible ? wanted : possible;
    if (next < 0n || next <= left) {
      this.stopped = true;
      return -1n;
    }
    this.#granted += next - left;
    return next;
  }
}

/** Whether a memory or table of the instance could not grow. */
export function hasGrowFailed({ exports }: WebAssembly.Instance): boolean {
  return (exports[growFailedGlobal] as WebAssembly.Global<'i32'>).value !== 0;
}
