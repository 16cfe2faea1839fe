/** A pool on sandboxes without threads and a clock moved by hand. */

import { type PoolOptions, SandboxPool } from '../../../src/pool/pool.ts';
import type { InstanceCounts, Sandbox, SandboxState } from '../../../src/sandbox/sandbox.ts';
import { ManualClock } from '../base/manual-clock.ts';

export class FakeSandbox {
  readonly id: number;
  state: SandboxState = 'idle';
  /** Whether closing it ends it at once. */
  readonly #endsAtOnce: boolean;
  readonly #ended = Promise.withResolvers<void>();
  readonly #held = new Map<string, InstanceCounts | undefined>();

  constructor(id: number, endsAtOnce: boolean) {
    this.id = id;
    this.#endsAtOnce = endsAtOnce;
  }

  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  /** Its thread holds a plugin from now on, and this of it. */
  keep(pluginKey: string, counts: InstanceCounts | undefined): void {
    this.#held.set(pluginKey, counts);
  }

  holds(pluginKey: string): boolean {
    return this.#held.has(pluginKey);
  }

  counts(pluginKey: string): InstanceCounts | undefined {
    return this.#held.get(pluginKey);
  }

  get allCounts(): ReadonlyMap<string, InstanceCounts> {
    return new Map([...this.#held].filter((entry): entry is [string, InstanceCounts] => entry[1] !== undefined));
  }

  readonly forgotten: string[] = [];

  forget(digest: string): void {
    this.forgotten.push(digest);
  }

  /** Its thread dies. */
  die(): void {
    this.state = 'dead';
    this.#ended.resolve();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.state !== 'dead') this.state = 'stopping';
    if (this.#endsAtOnce) this.die();
    await this.ended;
  }

  asSandbox(): Sandbox {
    return this as unknown as Sandbox;
  }
}

export interface PoolSetUp {
  readonly clock: ManualClock;
  readonly options: PoolOptions;
  /** Every sandbox that was started, in order. */
  readonly sandboxes: FakeSandbox[];
  /** What tries to start a sandbox come to, first one first; when empty they succeed. */
  readonly failures: Error[];
  /** While set, starts wait until it resolves. */
  hold: Promise<void> | undefined;
}

export function setUpPool(options: Partial<PoolOptions> & { readonly endsAtOnce?: boolean } = {}): PoolSetUp {
  const { endsAtOnce = true, ...given } = options;
  const clock = new ManualClock();
  const sandboxes: FakeSandbox[] = [];
  const failures: Error[] = [];
  const setUp: PoolSetUp = {
    clock,
    sandboxes,
    failures,
    hold: undefined,
    options: {
      clock,
      threadsMin: 1,
      threadsMax: 2,
      queueMax: 10,
      startSandbox: async (id) => {
        await setUp.hold;
        const failure = failures.shift();
        if (failure !== undefined) throw failure;
        const sandbox = new FakeSandbox(id, endsAtOnce);
        sandboxes.push(sandbox);
        return sandbox.asSandbox();
      },
      ...given,
    },
  };
  return setUp;
}

export function startPool(setUp: PoolSetUp): Promise<SandboxPool> {
  return SandboxPool.start(setUp.options);
}
