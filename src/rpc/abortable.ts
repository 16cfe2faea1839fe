/** Reading from an async iterable that does not heed a signal of its own. */

import { onAbort } from '../base/signals.ts';

/** The same items; throws the signal's reason as soon as it aborts, whatever the source is waiting for. */
export async function* heeding<Item>(source: AsyncIterable<Item>, signal: AbortSignal): AsyncGenerator<Item> {
  const iterator = source[Symbol.asyncIterator]();
  for (;;) {
    const next = await nextOrAbort(iterator, signal);
    if (next.done === true) return;
    yield next.value;
  }
}

/** Not Promise.race: a promise that outlives many races keeps a reaction for each of them. */
function nextOrAbort<Item>(iterator: AsyncIterator<Item>, signal: AbortSignal): Promise<IteratorResult<Item>> {
  signal.throwIfAborted();
  return new Promise((resolve, reject) => {
    const aborting = onAbort(signal, () => reject(signal.reason as Error));
    iterator
      .next()
      .then(resolve, reject)
      .finally(() => aborting[Symbol.dispose]());
  });
}
