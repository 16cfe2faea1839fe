/**
 * The changes of the registry in order, to every follower, and who has taken
 * over which: so that the leader can wait until a change holds in all processes.
 */

import type { Clock } from '../base/clock.ts';
import type { Log } from '../model/log.ts';
import type { VersionChange } from '../plugins/followed-version.ts';

/** How long a change waits for followers; those that are slower learn of it later. */
const settleMsMax = 10_000;
/** Changes that a follower has not taken over yet; one that falls further behind begins anew. */
export const behindMax = 10_000;

/** A follower's place in the feed. Disposing ends it. */
export interface FeedPlace extends Disposable {
  /** The follower has taken over the change with this number. */
  applied(sequence: number): void;
}

interface Follower {
  readonly number: number;
  readonly behind: Set<number>;
  /** Whoever waits looks again. */
  readonly wakers: Set<() => void>;
}

export interface FollowerEnds {
  readonly number: number;
  send(sequence: number, change: VersionChange): void;
  /** It fell too far behind. */
  drop(): void;
}

export class ChangeFeed {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #followers = new Map<Follower, FollowerEnds>();
  #sequence = 0;

  constructor(options: { readonly clock: Clock; readonly log: Log }) {
    this.#clock = options.clock;
    this.#log = options.log;
  }

  /** Tells every follower. */
  changed(change: VersionChange): void {
    const sequence = ++this.#sequence;
    for (const [follower, ends] of this.#followers) {
      follower.behind.add(sequence);
      if (follower.behind.size > behindMax) ends.drop();
      else ends.send(sequence, change);
    }
  }

  /** From now on the follower gets every change. */
  follow(ends: FollowerEnds): FeedPlace {
    const follower: Follower = { number: ends.number, behind: new Set(), wakers: new Set() };
    this.#followers.set(follower, ends);
    const settle = (): void => {
      for (const wake of follower.wakers) wake();
    };
    return {
      applied: (sequence) => {
        if (follower.behind.delete(sequence)) settle();
      },
      [Symbol.dispose]: () => {
        this.#followers.delete(follower);
        follower.behind.clear();
        settle();
      },
    };
  }

  /** Resolves when every follower that is there has taken over all changes so far, or is too slow. */
  async settled(): Promise<void> {
    const until = this.#sequence;
    await Promise.all(Array.from(this.#followers.keys(), (follower) => this.#caughtUp(follower, until)));
  }

  #caughtUp(follower: Follower, until: number): Promise<void> {
    const isBehind = (): boolean => {
      for (const sequence of follower.behind) if (sequence <= until) return true;
      return false;
    };
    if (!isBehind()) return Promise.resolve();
    return new Promise((resolve) => {
      const settle = (): void => {
        timer[Symbol.dispose]();
        follower.wakers.delete(look);
        resolve();
      };
      const look = (): void => {
        if (!isBehind()) settle();
      };
      const timer = this.#clock.after(settleMsMax, () => {
        this.#log.warn({ follower: follower.number }, 'A process has not taken over a change of the plugins in time');
        settle();
      });
      follower.wakers.add(look);
    });
  }
}
