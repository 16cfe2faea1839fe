/** What supervisor and worker processes tell each other, and the form of the number of a process. Types only. */

import type { Reason } from '../model/reasons.ts';

/** To a worker. `Start` is whatever it is started with. */
export type ToWorker<Start> =
  | { readonly type: 'start'; readonly start: Start }
  /** A connection comes with it. */
  | { readonly type: 'connection' }
  /** Turn new calls away, and let what runs go on for the grace. */
  | { readonly type: 'drain' }
  /** Cut the grace short. */
  | { readonly type: 'hasten' }
  /** Let go of everything and exit. */
  | { readonly type: 'end' };

/** From a worker. */
export type FromWorker =
  | { readonly type: 'ready' }
  /** It could not start, and exits. */
  | { readonly type: 'failed'; readonly reason: Reason; readonly message: string }
  /** So many connections that it was given are closed. */
  | { readonly type: 'closed'; readonly connections: number }
  /** Nothing runs any more. */
  | { readonly type: 'drained' };
