/** The values of capability "kv" for processes that do not keep them: asks the one that does. */

import type { KvStore } from '../capabilities/services/kv-store.ts';
import type { KvCall } from './link-topics.ts';

/** A store whose every call is carried out by `ask`. */
export function remoteKvStore(ask: (call: KvCall) => Promise<unknown>): KvStore {
  const through = <Method extends keyof KvStore>(method: Method): KvStore[Method] => {
    const call = (...args: Parameters<KvStore[Method]>): Promise<unknown> => ask({ method, args } as KvCall);
    return call as KvStore[Method];
  };
  return {
    get: through('get'),
    set: through('set'),
    delete: through('delete'),
    list: through('list'),
    compareAndSet: through('compareAndSet'),
    usage: through('usage'),
    dropPlugin: through('dropPlugin'),
    drop: through('drop'),
  };
}
