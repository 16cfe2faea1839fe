/** Decorator: stops a run that lasts longer than its limit. The wait before the run does not count. */

import type { Clock } from '../base/clock.ts';
import { AbortReason } from '../model/abort-reason.ts';
import type { Executor, PreparedAction } from '../model/execution.ts';

/** Aborts with TIMEOUT once limits.timeoutMs have passed since the stage RUNNING was reported. */
export function deadlined(inner: Executor, clock: Clock): Executor {
  return {
    async execute(action, context) {
      using timers = new DisposableStack();
      // A report that comes late, after the end, must start no timer any more.
      const start = (): void => {
        if (timers.disposed) return;
        timers.use(clock.after(action.limits.timeoutMs, () => context.stop(timedOut(action))));
      };
      return await inner.execute(action, {
        ...context,
        report: (event) => {
          if (event.type === 'stage') start();
          context.report(event);
        },
      });
    },
  };
}

function timedOut(action: PreparedAction): AbortReason {
  return new AbortReason('TIMEOUT', `The run lasted longer than limits.timeout, ${action.limits.timeoutMs / 1_000} s`);
}
