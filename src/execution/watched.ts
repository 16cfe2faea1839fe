/** Decorator: tells whoever watches over versions that a run of theirs is under way, and how it ended. */

import type { Executor, PreparedAction } from '../model/execution.ts';
import { resolveLimits } from '../model/limits.ts';
import type { Outcome } from '../model/outcome.ts';
import type { PluginVersion } from '../model/plugin.ts';
import { tenantOfServer } from '../model/tenant.ts';
import type { RunFacts } from '../plugins/health.ts';

/** What the decorator needs of the registry. */
export interface RunObserver {
  /** The run is under way until what this answers with is disposed of. */
  beginRun(version: PluginVersion): Disposable;
  noteRun(version: PluginVersion, facts: RunFacts): void;
}

/** Share of the limit from which on memory counts as near to it. */
const nearShare = 0.9;

/** How a run ended is not told where that says nothing of the version: the host failed, somebody stopped it, or the server ran it by itself. */
export function watched(inner: Executor, observer: RunObserver): Executor {
  return {
    async execute(action, context) {
      using _run = observer.beginRun(action.version);
      const outcome = await inner.execute(action, context);
      const isTelling = outcome.name !== 'CANCELED' && action.tenant !== tenantOfServer;
      if (isTelling) observer.noteRun(action.version, factsOf(action, outcome));
      return outcome;
    },
  };
}

function factsOf(action: PreparedAction, outcome: Outcome): RunFacts {
  return { trapped: outcome.name === 'TRAP', nearMemoryLimit: isNearMemoryLimit(action, outcome) };
}

/** A limit below the version's own is the caller's, and says nothing of the version. */
function isNearMemoryLimit({ limits, version }: PreparedAction, outcome: Outcome): boolean {
  const isNear = outcome.name === 'MEMORY_EXHAUSTED' || outcome.usage.memoryPeakBytes >= nearShare * limits.memoryBytes;
  return isNear && limits.memoryBytes >= resolveLimits({}, version.manifest.limits).memoryBytes;
}
