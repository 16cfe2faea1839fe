/** Waiting for work on behalf of a run that may be stopped meanwhile. */

import { onAbort } from '../../base/signals.ts';

/** What the work answers; rejects with the signal's reason as soon as it aborts. The work itself goes on unless it heeds the signal too. */
export async function untilStopped<Result>(signal: AbortSignal, work: () => Promise<Result>): Promise<Result> {
  signal.throwIfAborted();
  const stopped = Promise.withResolvers<never>();
  using _listening = onAbort(signal, () => stopped.reject(signal.reason as Error));
  return await Promise.race([stopped.promise, work()]);
}
