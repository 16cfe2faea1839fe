/**
 * The leader's end of the links: tells followers of versions, keeps their values
 * of capability "kv", loads versions for them, and has them prepare instances.
 */

import { createServer, type Server, type Socket } from 'node:net';
import type { Clock } from '../base/clock.ts';
import { linkSignals } from '../base/signals.ts';
import type { KvStore } from '../capabilities/services/kv-store.ts';
import type { Warmed } from '../execution/warming.ts';
import { AbortReason } from '../model/abort-reason.ts';
import type { Log } from '../model/log.ts';
import type { PluginVersion } from '../model/plugin.ts';
import type { PluginRegistry } from '../plugins/registry.ts';
import { ownMemoryBytes } from '../plugins/variant.ts';
import type { ChangeFeed, FeedPlace } from './change-feed.ts';
import { removeStaleSocket } from '../rpc/listen.ts';
import { Link } from './link.ts';
import type { FollowerTopics, KvCall, LeaderTopics, RunNote } from './link-topics.ts';

export interface LeaderDeskOptions {
  /** Path of the Unix socket, in a directory of the server's own. */
  readonly path: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly feed: ChangeFeed;
  readonly registry: Pick<PluginRegistry, 'standing' | 'resolve' | 'get' | 'compiled' | 'noteRun' | 'dropLeftovers'>;
  readonly kv: KvStore;
}

/** How long WarmPlugin waits for the other processes. */
const warmMsMax = 30_000;

type FollowerLink = Link<LeaderTopics, FollowerTopics>;

export class LeaderDesk implements AsyncDisposable {
  readonly #options: LeaderDeskOptions;
  readonly #server: Server;
  /** As many as there are processes. */
  readonly #links = new Set<FollowerLink>();
  readonly #following = new Set<FollowerLink>();

  private constructor(options: LeaderDeskOptions) {
    this.#options = options;
    this.#server = createServer((socket) => this.#welcome(socket));
  }

  /** Resolves when followers can come. */
  static async open(options: LeaderDeskOptions): Promise<LeaderDesk> {
    const desk = new LeaderDesk(options);
    await removeStaleSocket(options.path);
    await new Promise<void>((resolve, reject) => {
      desk.#server.once('error', reject).listen(options.path, resolve);
    });
    return desk;
  }

  /** Has every follower prepare instances of a version; one that ends meanwhile, or takes too long, counts as having prepared none. */
  async warm(reference: string, threads: number, signal: AbortSignal): Promise<readonly Warmed[]> {
    const waiting = new AbortController();
    using linked = linkSignals(signal, waiting.signal);
    using _timer = this.#options.clock.after(warmMsMax, () => waiting.abort(new AbortReason('TIMEOUT')));
    const asked = Array.from(this.#following, (link) => link.request('warm', { reference, threads }, linked.signal));
    const settled = await Promise.allSettled(asked);
    signal.throwIfAborted();
    return settled.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
    for (const link of this.#links) link[Symbol.dispose]();
    await closed;
  }

  #welcome(socket: Socket): void {
    const place: { taken?: FeedPlace } = {};
    const link: FollowerLink = new Link<LeaderTopics, FollowerTopics>(socket, {
      requests: {
        load: ({ reference }) => this.#load(reference),
        kv: (call) => answerKv(this.#options.kv, call),
      },
      notices: {
        follow: ({ number }) => {
          place.taken ??= this.#follow(link, number);
        },
        applied: ({ sequence }) => place.taken?.applied(sequence),
        ran: (notes) => this.#note(notes),
        leftovers: ({ plugin }) => this.#options.registry.dropLeftovers(plugin),
      },
    });
    this.#links.add(link);
    void link.ended.then(() => {
      this.#links.delete(link);
      this.#following.delete(link);
      place.taken?.[Symbol.dispose]();
    });
  }

  async #load(reference: string): Promise<null> {
    const { registry } = this.#options;
    const version = registry.resolve(reference);
    await registry.compiled(version, ownMemoryBytes(version.manifest));
    return null;
  }

  /** In one turn, so that no change falls between the versions as they stand and the first that is told. */
  #follow(link: FollowerLink, number: number): FeedPlace {
    const { feed, registry, log } = this.#options;
    log.info({ follower: number }, 'A process follows');
    for (const followed of registry.standing()) link.tell('standing', followed);
    link.tell('synced', null);
    this.#following.add(link);
    return feed.follow({
      number,
      send: (sequence, change) => link.tell('change', { sequence, change }),
      drop: () => link[Symbol.dispose](),
    });
  }

  #note(notes: readonly RunNote[]): void {
    for (const { reference, digest, facts } of notes) {
      const version = this.#versionOf(reference);
      if (version?.digest === digest) this.#options.registry.noteRun(version, facts);
    }
  }

  /** Of a version that is gone nobody wants to know. */
  #versionOf(reference: string): PluginVersion | undefined {
    try {
      return this.#options.registry.get(reference);
    } catch {
      return undefined;
    }
  }
}

function answerKv(store: KvStore, { method, args }: KvCall): Promise<unknown> {
  const answer = store[method] as (...given: typeof args) => Promise<unknown>;
  return answer.apply(store, args);
}
