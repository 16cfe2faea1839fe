/**
 * A follower's end of the link to the leader: comes back whenever the link has
 * ended, takes over what the leader tells, and lets requests wait a while for a
 * leader that is being replaced.
 */

import { connect } from 'node:net';
import type { Clock } from '../base/clock.ts';
import { linkSignals, onAbort } from '../base/signals.ts';
import type { Warmed } from '../execution/warming.ts';
import { AbortReason } from '../model/abort-reason.ts';
import { ExecError } from '../model/exec-error.ts';
import type { Log } from '../model/log.ts';
import type { FollowedRegistry } from '../plugins/followed-registry.ts';
import type { FollowedVersion } from '../plugins/followed-version.ts';
import { Link, LinkEnded } from './link.ts';
import type { FollowerTopics, LeaderTopics } from './link-topics.ts';

export interface FollowerDeskOptions {
  /** Path of the leader's socket. */
  readonly path: string;
  /** Of this process. */
  readonly number: number;
  readonly clock: Clock;
  readonly log: Log;
  /** Told whenever the versions of a leader are taken over whole. */
  readonly onSynced: () => void;
}

/** What the leader's messages are for. */
export interface Follower {
  readonly registry: Pick<FollowedRegistry, 'apply' | 'replaceAll'>;
  warm(reference: string, threads: number, signal: AbortSignal): Promise<Warmed>;
}

type LeaderLink = Link<FollowerTopics, LeaderTopics>;

const reconnectMs = 50;
/** How long a request waits for a leader to be there. */
const leaderMsMax = 10_000;

export class FollowerDesk implements AsyncDisposable {
  readonly #options: FollowerDeskOptions;
  readonly #closing = new AbortController();
  #following: Promise<void> | undefined;
  #link: LeaderLink | undefined;
  #linked = Promise.withResolvers<LeaderLink>();

  constructor(options: FollowerDeskOptions) {
    this.#options = options;
    this.#linked.promise.catch(() => {});
  }

  /** Follows the leader from now on. */
  follow(follower: Follower): void {
    this.#following ??= this.#followAll(follower);
  }

  /**
   * Asks the leader, and asks again if that leader ends before it has answered:
   * what it kept in memory ended with it. Rejects PROCESS_UNAVAILABLE if no
   * leader answers in time.
   */
  async request<Topic extends keyof LeaderTopics['requests']>(
    topic: Topic,
    body: LeaderTopics['requests'][Topic]['body'],
    signal?: AbortSignal,
  ): Promise<LeaderTopics['requests'][Topic]['answer']> {
    for (;;) {
      const link = this.#link ?? (await this.#waitForLink(signal));
      try {
        return await link.request(topic, body, signal);
      } catch (error) {
        if (!(error instanceof LinkEnded)) throw error;
        this.#unlink(link);
      }
    }
  }

  /** Tells the leader, if there is one. */
  tell<Topic extends keyof LeaderTopics['notices']>(topic: Topic, body: LeaderTopics['notices'][Topic]): void {
    this.#link?.tell(topic, body);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new AbortReason('SHUTDOWN'));
    this.#link?.[Symbol.dispose]();
    this.#linked.reject(noLeader());
    await this.#following;
  }

  async #waitForLink(signal: AbortSignal | undefined): Promise<LeaderLink> {
    using linked = linkSignals(...(signal ? [signal] : []));
    const { promise, reject } = Promise.withResolvers<never>();
    promise.catch(() => {});
    using _timer = this.#options.clock.after(leaderMsMax, () => reject(noLeader()));
    using _aborting = onAbort(linked.signal, () => reject(linked.signal.reason as Error));
    return await Promise.race([this.#linked.promise, promise]);
  }

  async #followAll(follower: Follower): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      const link = await this.#connect(follower);
      if (link) await this.#stay(link);
      await this.#options.clock.sleep(reconnectMs, signal).catch(() => {});
    }
  }

  async #stay(link: LeaderLink): Promise<void> {
    this.#link = link;
    this.#linked.resolve(link);
    link.tell('follow', { number: this.#options.number });
    await link.ended;
    this.#unlink(link);
    if (!this.#closing.signal.aborted) this.#options.log.warn({}, 'The leading process has ended');
  }

  #unlink(link: LeaderLink): void {
    if (this.#link !== link) return;
    this.#link = undefined;
    this.#linked = Promise.withResolvers();
    this.#linked.promise.catch(() => {});
  }

  /** Undefined if nobody is there. */
  #connect(follower: Follower): Promise<LeaderLink | undefined> {
    const socket = connect(this.#options.path);
    return new Promise((resolve) => {
      socket.once('error', () => resolve(undefined));
      socket.once('connect', () => resolve(this.#linkOf(socket, follower)));
    });
  }

  #linkOf(socket: ReturnType<typeof connect>, { registry, warm }: Follower): LeaderLink {
    const standing: FollowedVersion[] = [];
    const link: LeaderLink = new Link<FollowerTopics, LeaderTopics>(socket, {
      requests: { warm: ({ reference, threads }) => warm(reference, threads, this.#closing.signal) },
      notices: {
        standing: (followed) => void standing.push(followed),
        synced: () => {
          registry.replaceAll(standing.splice(0));
          this.#options.onSynced();
        },
        change: ({ sequence, change }) => {
          void registry.apply(change).then(() => link.tell('applied', { sequence }));
        },
      },
    });
    return link;
  }
}

function noLeader(): ExecError {
  return new ExecError('PROCESS_UNAVAILABLE', 'The leading process of the server has ended and is being replaced');
}
