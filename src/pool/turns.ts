/**
 * Who waits for a thread, and whose turn it is when there is one: calls that a
 * running call waits for first, then calls of the thread's own sessions and calls of
 * everybody else in turns. Also who runs, because a tenant that has all the threads
 * it may have has no turn, and because calls that wait for calls of their own must
 * leave these some. It knows threads only as what sessions are bound to.
 */

import type { ExecError } from '../model/exec-error.ts';
import { mayWait, threadsOfTenantMax } from './admission.ts';
import { FairLine, type Place } from './fair-line.ts';
import { Sessions } from './sessions.ts';

/** What a call tells the pool, so that it gets its turn and a fitting thread. */
export interface LeaseRequest extends Place {
  /** Key of the compiled plugin: threads that have instances of it, or hold it, come first. */
  readonly pluginKey: string;
  /** Name of the call's session among all sessions; absent for none. */
  readonly session?: string;
  /** Whether a call that has a thread waits for this one. */
  readonly isNested?: boolean;
}

export interface Waiting<Thread> extends LeaseRequest {
  resolve(thread: Thread): void;
  reject(error: ExecError): void;
}

export interface TenantLoad {
  readonly tenant: string;
  readonly waiting: number;
  readonly running: number;
}

/** Calls bound to one thread. */
interface ThreadLine<Thread> {
  readonly waiting: Set<Waiting<Thread>>;
  /** Whether the thread's last call came out of it. */
  servedLast: boolean;
}

export class Turns<Thread extends object> {
  readonly sessions = new Sessions<Thread>();
  readonly #waitingMax: number;
  readonly #threadsMax: number;
  readonly #threadsOfTenantMax: number;
  readonly #line = new FairLine<Waiting<Thread>>();
  readonly #nested = new Set<Waiting<Thread>>();
  /** By thread with calls of its sessions waiting. */
  readonly #bound = new Map<Thread, ThreadLine<Thread>>();
  /** By tenant, those that wait for calls of their own included, and these left out. */
  readonly #running = new Map<string, number>();
  #runningCount = 0;

  constructor({ threadsMax, waitingMax }: { readonly threadsMax: number; readonly waitingMax: number }) {
    this.#waitingMax = waitingMax;
    this.#threadsMax = threadsMax;
    this.#threadsOfTenantMax = threadsOfTenantMax(threadsMax);
  }

  /** Calls that any thread could serve. */
  get unbound(): number {
    return this.#line.length + this.#nested.size;
  }

  get length(): number {
    let bound = 0;
    for (const { waiting } of this.#bound.values()) bound += waiting.size;
    return this.unbound + bound;
  }

  lengthOf(tenant: string): number {
    let length = this.#line.lengthOf(tenant);
    for (const one of this.#allBound()) if (one.tenant === tenant) length++;
    return length;
  }

  /** Whether another call of the tenant may wait. */
  mayWait({ tenant }: LeaseRequest): boolean {
    return mayWait({ waiting: this.length, waitingMax: this.#waitingMax, waitingOfTenant: this.lengthOf(tenant) });
  }

  /**
   * Whether the tenant may have one more thread. Calls that running ones wait for
   * always may; for them are all threads beyond threadsMax.
   */
  mayRun({ tenant, isNested = false }: Pick<LeaseRequest, 'tenant' | 'isNested'>): boolean {
    if (isNested) return true;
    return this.#runningCount < this.#threadsMax && (this.#running.get(tenant) ?? 0) < this.#threadsOfTenantMax;
  }

  began({ tenant, session, isNested = false }: LeaseRequest, thread: Thread): void {
    if (!isNested) {
      this.#runningCount++;
      this.#running.set(tenant, (this.#running.get(tenant) ?? 0) + 1);
    }
    if (session !== undefined) this.sessions.pin(session, thread);
  }

  ended({ tenant, isNested = false }: LeaseRequest): void {
    if (isNested) return;
    this.#runningCount--;
    const left = (this.#running.get(tenant) ?? 0) - 1;
    if (left > 0) this.#running.set(tenant, left);
    else this.#running.delete(tenant);
  }

  join(waiting: Waiting<Thread>): void {
    const thread = waiting.session === undefined ? undefined : this.sessions.threadOf(waiting.session);
    if (thread) this.#bind(waiting, thread);
    else if (waiting.isNested === true) this.#nested.add(waiting);
    else this.#line.join(waiting);
  }

  leave(waiting: Waiting<Thread>): void {
    if (this.#line.leave(waiting) || this.#nested.delete(waiting)) return;
    for (const [thread, line] of this.#bound) {
      if (!line.waiting.delete(waiting)) continue;
      if (line.waiting.size === 0) this.#bound.delete(thread);
      return;
    }
  }

  /** Takes out the call whose turn it is on a thread. */
  next(thread: Thread): Waiting<Thread> | undefined {
    const [nested] = this.#nested;
    if (nested && this.#nested.delete(nested)) return nested;
    const line = this.#bound.get(thread);
    if (line === undefined) return this.#nextUnbound(thread);
    line.servedLast = !line.servedLast;
    return line.servedLast
      ? this.#nextBound(thread, line)
      : (this.#nextUnbound(thread) ?? this.#nextBound(thread, line));
  }

  /** The thread is gone: its sessions begin anew wherever their next calls get a thread. */
  forget(thread: Thread): void {
    this.sessions.forget(thread);
    const line = this.#bound.get(thread);
    this.#bound.delete(thread);
    for (const waiting of line?.waiting ?? []) this.join(waiting);
  }

  /** Takes out all. */
  takeAll(): readonly Waiting<Thread>[] {
    const all = [...this.#nested, ...this.#allBound(), ...this.#line.takeAll()];
    this.#nested.clear();
    this.#bound.clear();
    return all;
  }

  /** Those who wait or run, most waiting first. */
  get tenants(): readonly TenantLoad[] {
    const waiting = new Map(this.#line.lengths());
    for (const { tenant } of [...this.#nested, ...this.#allBound()])
      waiting.set(tenant, (waiting.get(tenant) ?? 0) + 1);
    const names = new Set([...waiting.keys(), ...this.#running.keys()]);
    const loads = [...names].map((tenant) => ({
      tenant,
      waiting: waiting.get(tenant) ?? 0,
      running: this.#running.get(tenant) ?? 0,
    }));
    return loads.sort((one, other) => other.waiting - one.waiting || other.running - one.running);
  }

  *#allBound(): Generator<Waiting<Thread>> {
    for (const { waiting } of this.#bound.values()) yield* waiting;
  }

  #bind(waiting: Waiting<Thread>, thread: Thread): void {
    const line = this.#bound.get(thread) ?? { waiting: new Set<Waiting<Thread>>(), servedLast: false };
    this.#bound.set(thread, line);
    line.waiting.add(waiting);
  }

  #nextBound(thread: Thread, { waiting }: ThreadLine<Thread>): Waiting<Thread> | undefined {
    const [first] = waiting;
    if (first === undefined) return undefined;
    waiting.delete(first);
    if (waiting.size === 0) this.#bound.delete(thread);
    return first;
  }

  /** A call whose session was bound to another thread meanwhile goes on waiting there. */
  #nextUnbound(thread: Thread): Waiting<Thread> | undefined {
    for (;;) {
      const next = this.#line.next((tenant) => this.mayRun({ tenant }));
      const bound = next?.session === undefined ? undefined : this.sessions.threadOf(next.session);
      if (next === undefined || bound === undefined || bound === thread) return next;
      this.#bind(next, bound);
    }
  }
}
