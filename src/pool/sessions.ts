/**
 * Which thread has a session's instance. Calls of one session go to that thread,
 * and wait for it; a session whose thread is gone begins anew on another.
 */

export const sessionsMax = 10_000;

export class Sessions<Thread extends object> {
  /** Used longest ago first. */
  readonly #threads = new Map<string, Thread>();
  readonly #counts = new Map<Thread, number>();

  threadOf(session: string): Thread | undefined {
    const thread = this.#threads.get(session);
    if (thread === undefined) return undefined;
    this.#threads.delete(session);
    this.#threads.set(session, thread);
    return thread;
  }

  pin(session: string, thread: Thread): void {
    this.unpin(session);
    const [oldest] = this.#threads.keys();
    if (this.#threads.size >= sessionsMax && oldest !== undefined) this.unpin(oldest);
    this.#threads.set(session, thread);
    this.#counts.set(thread, this.countOf(thread) + 1);
  }

  unpin(session: string): void {
    const thread = this.#threads.get(session);
    if (thread === undefined) return;
    this.#threads.delete(session);
    this.#counts.set(thread, this.countOf(thread) - 1);
  }

  countOf(thread: Thread): number {
    return this.#counts.get(thread) ?? 0;
  }

  /** The thread is gone, and its sessions with it. */
  forget(thread: Thread): void {
    if (!this.#counts.delete(thread)) return;
    for (const [session, pinned] of this.#threads) if (pinned === thread) this.#threads.delete(session);
  }
}
