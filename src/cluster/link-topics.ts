/** What the leader and its followers ask and tell each other. Types only. */

import type { KvStore } from '../capabilities/services/kv-store.ts';
import type { Warmed } from '../execution/warming.ts';
import type { FollowedVersion, VersionChange } from '../plugins/followed-version.ts';
import type { RunFacts } from '../plugins/health.ts';

/** One call of a method of the store that the leader keeps. */
export type KvCall = {
  [Method in keyof KvStore]: { readonly method: Method; readonly args: Parameters<KvStore[Method]> };
}[keyof KvStore];

/** How a run of a version ended. */
export interface RunNote {
  /** "name@version". */
  readonly reference: string;
  readonly digest: string;
  readonly facts: RunFacts;
}

/** Of the leader. */
export interface LeaderTopics {
  readonly requests: {
    /** Loads a version that its first use loads. */
    readonly load: { readonly body: { readonly reference: string }; readonly answer: null };
    readonly kv: { readonly body: KvCall; readonly answer: unknown };
  };
  readonly notices: {
    /** Wants to know all versions and every change from now on. */
    readonly follow: { readonly number: number };
    /** A change is taken over, and what runs by it can be executed. */
    readonly applied: { readonly sequence: number };
    readonly ran: readonly RunNote[];
    /** No run is under way any more that was when a plugin's storage was dropped. */
    readonly leftovers: { readonly plugin: string };
  };
}

/** Of a follower. */
export interface FollowerTopics {
  readonly requests: {
    readonly warm: { readonly body: { readonly reference: string; readonly threads: number }; readonly answer: Warmed };
  };
  readonly notices: {
    /** One of the versions that there are when the follower begins. */
    readonly standing: FollowedVersion;
    /** That was the last of them. */
    readonly synced: null;
    readonly change: { readonly sequence: number; readonly change: VersionChange };
  };
}
