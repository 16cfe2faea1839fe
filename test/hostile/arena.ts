/**
 * Where hostile guests run: a pool of real threads. Each attack leaves its thread
 * alive, and the next call must be right, on that thread and on any other.
 */

import { expect } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import type { OutcomeKind } from '../../src/model/outcome.ts';
import { SandboxPool } from '../../src/pool/pool.ts';
import { Sandbox } from '../../src/sandbox/sandbox.ts';
import type { CompiledPlugin } from '../../src/sandbox/compiler.ts';
import {
  expectSound,
  expectThreads,
  kindOf,
  type Ran,
  type RunOptions,
  runIn,
  threadCount,
} from '../helpers/sandbox.ts';

const never = new AbortController().signal;
/** However slow this machine is, a thread whose guest stops is not ended. */
const stopGraceMs = 20_000;

export interface Attack extends RunOptions {
  /** The module in text form, or compiled. */
  readonly guest: string | CompiledPlugin;
  /** How the call shall end. */
  readonly ends: OutcomeKind | 'OK';
}

const anyCall = { tenant: 'default', plugin: 'plugin', pluginKey: 'plugin' };

export class Arena implements AsyncDisposable {
  readonly #pool: SandboxPool;
  readonly #threadsBefore: number;

  private constructor(pool: SandboxPool, threadsBefore: number) {
    this.#pool = pool;
    this.#threadsBefore = threadsBefore;
  }

  static async open(): Promise<Arena> {
    const threadsBefore = threadCount();
    const startSandbox = (id: number): Promise<Sandbox> => Sandbox.start({ clock: systemClock, id, stopGraceMs });
    const pool = await SandboxPool.start({
      clock: systemClock,
      threadsMin: 1,
      threadsMax: 2,
      queueMax: 10,
      startSandbox,
    });
    return new Arena(pool, threadsBefore);
  }

  /** Runs the attack, and asserts how it ends and that what comes after it is right. */
  async withstand({ guest, ends, ...options }: Attack): Promise<Ran> {
    using lease = await this.#pool.lease(anyCall, never);
    const { sandbox } = lease;
    const ran = await runIn(sandbox, guest, options);
    expect(kindOf(ran.outcome)).toBe(ends);
    expect(sandbox.state).toBe('idle');
    await expectSound(sandbox);
    lease[Symbol.dispose]();
    await this.expectSound();
    return ran;
  }

  /** Asserts that the next call is right. */
  async expectSound(): Promise<void> {
    using lease = await this.#pool.lease(anyCall, never);
    await expectSound(lease.sandbox);
  }

  /** Runs `use` with a thread of the pool. */
  async withSandbox<T>(use: (sandbox: Sandbox) => Promise<T>): Promise<T> {
    using lease = await this.#pool.lease(anyCall, never);
    return await use(lease.sandbox);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pool[Symbol.asyncDispose]();
    await expectThreads(this.#threadsBefore);
  }
}
