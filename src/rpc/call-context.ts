/**
 * What a handler sees of one call, and the set of calls whose handlers watch
 * their signal. Everything is made on first use: a unary call whose handler
 * never asks for the signal costs one small object.
 */

import type { EventEmitter } from 'node:events';
import type { Deadline, Metadata } from '@grpc/grpc-js';
import { AbortReason } from '../model/abort-reason.ts';
import type { TraceSpan } from '../model/trace.ts';
import { connectionOf } from './connection.ts';
import type { CallContext } from './service-types.ts';
import { spanOf } from './tracing.ts';
import { wallClockMs } from './wall-clock.ts';

/** What all kinds of grpc-js calls have in common. */
export interface SurfaceCall extends EventEmitter {
  cancelled: boolean;
  readonly metadata: Metadata;
  getDeadline(): Deadline;
  getPeer(): string;
}

/** A client ends its call a little before the server's own timer does. */
const deadlineToleranceMs = 50;

/** The calls of one server whose signals must abort when it stops. */
export class LiveCalls {
  readonly #calls = new Set<AbortController>();
  #stopped = false;

  add(controller: AbortController): void {
    if (this.#stopped) controller.abort(new AbortReason('SHUTDOWN'));
    else this.#calls.add(controller);
  }

  delete(controller: AbortController): void {
    this.#calls.delete(controller);
  }

  /** Aborts all calls, and those still to come, with SHUTDOWN. */
  stop(): void {
    this.#stopped = true;
    for (const controller of this.#calls) controller.abort(new AbortReason('SHUTDOWN'));
    this.#calls.clear();
  }

  get size(): number {
    return this.#calls.size;
  }
}

/** The context of one call, which the adapter ends with finish or abandon. */
export class ServerCallContext implements CallContext {
  readonly path: string;
  readonly draining: AbortSignal;
  readonly #call: SurfaceCall;
  readonly #live: LiveCalls;
  #controller: AbortController | undefined;
  #onCancelled: (() => void) | undefined;
  #finished = false;

  constructor(path: string, call: SurfaceCall, live: LiveCalls, draining: AbortSignal) {
    this.path = path;
    this.draining = draining;
    this.#call = call;
    this.#live = live;
  }

  get metadata(): Metadata {
    return this.#call.metadata;
  }

  get deadlineMs(): number {
    return Number(this.#call.getDeadline());
  }

  get peer(): string {
    return this.#call.getPeer();
  }

  get span(): TraceSpan | undefined {
    return spanOf(this.#call.metadata);
  }

  get signal(): AbortSignal {
    this.#controller ??= this.#watch();
    return this.#controller.signal;
  }

  /** Whether the deadline has passed already. */
  get late(): boolean {
    return this.deadlineMs <= wallClockMs();
  }

  /** The handler has ended well: its signal aborts no more. */
  finish(): void {
    this.#finished = true;
    if (this.#onCancelled) this.#call.off('cancelled', this.#onCancelled);
    if (this.#controller) this.#live.delete(this.#controller);
  }

  /** The handler has failed: whatever it started and still runs is told to stop. */
  abandon(): void {
    this.finish();
    this.#controller?.abort(new AbortReason('CANCELED'));
  }

  #watch(): AbortController {
    const controller = new AbortController();
    if (this.#finished) {
      controller.abort(new AbortReason('CANCELED'));
      return controller;
    }
    const connection = connectionOf(this.#call);
    // grpc-js emits "cancelled" at the end of every call, also of a successful
    // one; by then finish() has taken this listener off.
    this.#onCancelled = () => controller.abort(new AbortReason(this.#kind(connection?.destroyed === true)));
    if (this.#call.cancelled) this.#onCancelled();
    else this.#call.once('cancelled', this.#onCancelled);
    this.#live.add(controller);
    return controller;
  }

  #kind(disconnected: boolean): 'DEADLINE' | 'DISCONNECTED' | 'CANCELED' {
    if (this.deadlineMs <= wallClockMs() + deadlineToleranceMs) return 'DEADLINE';
    return disconnected ? 'DISCONNECTED' : 'CANCELED';
  }
}
