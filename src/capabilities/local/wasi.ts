/**
 * Answers to WASI's clocks and its random_get, given in the guest's own thread. They
 * are those of the capabilities "clock" and "random": one time and one stream of
 * chance for all of a run.
 */

import type { HostAnswer } from '../../model/operation.ts';
import type { ClockAnswers } from './clock.ts';
import type { RandomAnswers } from './random.ts';

export interface WasiAnswers {
  /** The request is the clock's id as one byte: 0 for the time of day, 1 for the time since the run began. */
  readonly 'wasi.clock': (request: Uint8Array) => HostAnswer;
  /** As random.bytes. */
  readonly 'wasi.random': (request: Uint8Array) => HostAnswer;
}

/** The answers of one run. */
export function wasiAnswers(clocks: ClockAnswers, random: RandomAnswers): WasiAnswers {
  return {
    'wasi.clock': ([clockId]) => (clockId === 0 ? clocks['clock.now']() : clocks['clock.monotonic']()),
    'wasi.random': random['random.bytes'],
  };
}
