/**
 * How functions of the family say no: they throw a refusal, which never leaves the
 * family but as an errno. Whatever else is thrown passes through.
 */

import { wasi } from '@bjorn3/browser_wasi_shim';
import type { HostFunction } from '../call-context.ts';

/** An errno on its way to the guest. */
class Refusal extends Error {
  readonly errno: number;

  constructor(errno: number) {
    super(`WASI errno ${errno}`);
    this.name = 'Refusal';
    this.errno = errno;
  }
}

/** One for each errno, as programs that look for files are refused often and nobody looks at the stack. */
const refusals = new Map<number, Refusal>();

/** Ends the function with an errno. */
export function refuse(errno: number): never {
  const refusal = refusals.get(errno) ?? new Refusal(errno);
  refusals.set(errno, refusal);
  throw refusal;
}

/** Does what may be refused after a part of it is done: then the part counts, as `moved` tells, and the rest is left. */
export function partly(moved: () => number, move: () => void): void {
  try {
    move();
  } catch (error) {
    if (!(error instanceof Refusal) || moved() === 0) throw error;
  }
}

/** Goes on if the library has answered with success. */
export function accept(errno: number): void {
  if (errno !== wasi.ERRNO_SUCCESS) refuse(errno);
}

/** What a function of WASI does. i32 parameters come without a sign, i64 as they are; returning means success. */
export type WasiFunction = (...parameters: never[]) => void;

export type WasiFunctions = Readonly<Record<string, WasiFunction>>;

/** The function as the guest calls it: it answers with an errno. */
export function answering(fn: WasiFunction): HostFunction {
  return (...parameters: readonly (number | bigint)[]) => {
    try {
      fn(...(parameters.map(withoutSign) as never[]));
      return wasi.ERRNO_SUCCESS;
    } catch (error) {
      if (error instanceof Refusal) return error.errno;
      throw error;
    }
  };
}

function withoutSign(parameter: number | bigint): number | bigint {
  return typeof parameter === 'number' ? parameter >>> 0 : parameter;
}
