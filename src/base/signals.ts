/**
 * Linking of abort signals. `AbortSignal.any` keeps memory per call on a
 * long-lived source until garbage collection; this link is undone at once.
 */

export interface SignalLink extends Disposable {
  readonly signal: AbortSignal;
  /** Aborts the signal, and no source. */
  abort(reason: unknown): void;
}

/** A signal that aborts with the reason of whichever source aborts first. Dispose it when the work is done. */
export function linkSignals(...sources: readonly AbortSignal[]): SignalLink {
  const linked = new AbortController();
  const onAbort = (event: Event): void => linked.abort((event.target as AbortSignal).reason);
  for (const source of sources) {
    if (source.aborted) linked.abort(source.reason);
    else source.addEventListener('abort', onAbort);
  }
  const dispose = (): void => {
    for (const source of sources) source.removeEventListener('abort', onAbort);
  };
  const abort = (reason: unknown): void => linked.abort(reason);
  return { signal: linked.signal, abort, [Symbol.dispose]: dispose };
}

/** Calls `listener` when the signal aborts, at once if it has aborted already. Dispose it to stop listening. */
export function onAbort(signal: AbortSignal, listener: () => void): Disposable {
  if (signal.aborted) listener();
  else signal.addEventListener('abort', listener, { once: true });
  return { [Symbol.dispose]: () => signal.removeEventListener('abort', listener) };
}
