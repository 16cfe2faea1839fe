/** The leader's registry as its PluginService sees it: changes are answered when they hold in every process. */

import type { Warmed, Warming } from '../execution/warming.ts';
import { referenceOf } from '../model/plugin.ts';
import type { PluginApi, WarmingApi } from '../rpc/plugin-api.ts';
import type { ChangeFeed } from './change-feed.ts';
import type { LeaderDesk } from './leader-desk.ts';
import { shareOf } from './shares.ts';

/** Also a change that failed is answered when all processes know how the version stands. */
export function settledPlugins(registry: PluginApi, feed: Pick<ChangeFeed, 'settled'>): PluginApi {
  const settling = async <Result>(work: Promise<Result>): Promise<Result> => {
    try {
      return await work;
    } finally {
      await feed.settled();
    }
  };
  return {
    publish: (...request) => settling(registry.publish(...request)),
    validate: (...request) => registry.validate(...request),
    get: (reference) => registry.get(reference),
    list: (query) => registry.list(query),
    start: (reference) => settling(registry.start(reference)),
    stop: (reference) => settling(registry.stop(reference)),
    retire: (reference) => settling(registry.retire(reference)),
    delete: (reference, options) => settling(registry.delete(reference, options)),
    watch: (query, signal) => registry.watch(query, signal),
    health: (version) => registry.health(version),
  };
}

/** Has instances prepared in all processes: on all threads, or on so many that it asks each process for its share. */
export function warmingOfAll(
  own: Pick<Warming, 'warm'>,
  desk: Pick<LeaderDesk, 'warm'>,
  processes: number,
): WarmingApi {
  return {
    async warm(version, threads, signal) {
      const share = threads === 0 ? 0 : shareOf(threads, { number: 0, processes });
      const others = desk.warm(referenceOf(version), share, signal);
      const warmed = await Promise.all([own.warm(version, share, signal), others]);
      return warmed.flat().reduce(plus);
    },
  };
}

function plus(one: Warmed, other: Warmed): Warmed {
  return { threads: one.threads + other.threads, instances: one.instances + other.instances };
}
