/** The host calls of one run that its own thread answers. */

import type { HostAnswer, OperationName } from '../../model/operation.ts';
import type { CallContext } from '../call-context.ts';
import { clockAnswers } from './clock.ts';
import { randomAnswers, randomStream } from './random.ts';
import { wasiAnswers } from './wasi.ts';

export type LocalAnswers = Readonly<Partial<Record<OperationName, (request: Uint8Array) => HostAnswer>>>;

/** To be made when the run begins. */
export function localAnswers({ clock, randomSeed }: Pick<CallContext, 'clock' | 'randomSeed'>): LocalAnswers {
  const clocks = clockAnswers(clock);
  // One stream: two of the same seed would be equal.
  const random = randomAnswers(randomStream(randomSeed));
  return { ...clocks, ...random, ...wasiAnswers(clocks, random) };
}
