/**
 * The only file that reads the time or sets timers. Everything else receives a
 * Clock, so that tests can drive time by hand.
 */

export interface Clock {
  /** Milliseconds since 1970, with fractions of a millisecond. */
  now(): number;
  /** Milliseconds of a clock that never runs backwards; only differences mean something. */
  monotonic(): number;
  /** Resolves after `ms`; rejects with the signal's reason when it aborts first. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** Calls `callback` once after `ms`, unless disposed first. Keeps the process alive only if `keepAlive`. */
  after(ms: number, callback: () => void, options?: { keepAlive?: boolean }): Disposable;
}

const timerMsMax = 2_147_483_647;
/** Beyond this the wall clock was set, or the machine slept. */
const driftMsMax = 50;

let originMs = performance.timeOrigin;

/** The wall clock with the fractions of a millisecond that Date does not have. */
function wallClockMs(): number {
  const elapsedMs = performance.now();
  const wholeMs = Date.now();
  if (Math.abs(wholeMs - originMs - elapsedMs) > driftMsMax) originMs = wholeMs - elapsedMs;
  return originMs + elapsedMs;
}

export const systemClock: Clock = {
  now: wallClockMs,
  monotonic: () => performance.now(),
  sleep: (ms, signal) =>
    new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      const onAbort = (): void => {
        clearTimeout(timer);
        reject(signal?.reason as Error);
      };
      const timer = setTimeout(
        () => {
          signal?.removeEventListener('abort', onAbort);
          resolve();
        },
        Math.min(ms, timerMsMax),
      );
      signal?.addEventListener('abort', onAbort, { once: true });
    }),
  after: (ms, callback, options) => {
    const timer = setTimeout(callback, Math.min(ms, timerMsMax));
    if (options?.keepAlive !== true) timer.unref();
    return { [Symbol.dispose]: () => clearTimeout(timer) };
  },
};
