/**
 * Readers of changes: each gets the versions as they stand and then every change
 * as it happens, through a buffer of its own. One that is too slow is ended.
 */

import { onAbort } from '../base/signals.ts';
import { ExecError } from '../model/exec-error.ts';
import type { PluginHealth, PluginVersion } from '../model/plugin.ts';
import type { PluginBounds } from './bounds.ts';

export type PluginChange =
  | { readonly type: 'SYNCED'; readonly timeMs: number }
  | {
      readonly type: 'EXISTING' | 'PUBLISHED' | 'STATE_CHANGED' | 'HEALTH_CHANGED' | 'DELETED';
      readonly timeMs: number;
      /** As it stands after the change. */
      readonly version: PluginVersion;
      /** Undefined unless it runs. */
      readonly health: PluginHealth | undefined;
    };

export interface WatchStart {
  /** Only changes of this plugin, if given. */
  readonly name: string | undefined;
  /** What the watcher gets first, whatever its length. */
  readonly snapshot: Iterable<PluginChange>;
  readonly signal: AbortSignal;
}

export class Watchers {
  readonly #bounds: Pick<PluginBounds, 'watchersMax' | 'watcherChangesMax'>;
  readonly #watchers = new Set<Watcher>();

  constructor(bounds: Pick<PluginBounds, 'watchersMax' | 'watcherChangesMax'>) {
    this.#bounds = bounds;
  }

  /** Begins to watch at once: no change after this call is missed. Throws READERS_FULL. */
  watch(start: WatchStart): AsyncIterableIterator<PluginChange> {
    const { watchersMax, watcherChangesMax } = this.#bounds;
    if (this.#watchers.size >= watchersMax) {
      throw new ExecError(
        'READERS_FULL',
        `${watchersMax} watchers are reading, the maximum of this server: try again later`,
      );
    }
    const watcher = new Watcher(start, { changesMax: watcherChangesMax, onEnd: () => this.#watchers.delete(watcher) });
    this.#watchers.add(watcher);
    watcher.listen(start.signal);
    return watcher;
  }

  report(change: PluginChange & { readonly version: PluginVersion }): void {
    for (const watcher of this.#watchers) {
      if (watcher.name === undefined || watcher.name === change.version.manifest.name) watcher.push(change);
    }
  }

  /** Ends every watcher with `error`. */
  endAll(error: ExecError): void {
    for (const watcher of [...this.#watchers]) watcher.end(error);
  }
}

class Watcher implements AsyncIterableIterator<PluginChange> {
  readonly name: string | undefined;
  readonly #snapshot: Iterator<PluginChange>;
  readonly #changesMax: number;
  readonly #onEnd: () => void;
  #changes: PluginChange[] = [];
  #snapshotDone = false;
  #ended: { readonly error: ExecError | undefined } | undefined;
  #wake: (() => void) | undefined;
  #listening: Disposable | undefined;

  constructor(start: WatchStart, options: { readonly changesMax: number; readonly onEnd: () => void }) {
    this.name = start.name;
    this.#snapshot = [...start.snapshot][Symbol.iterator]();
    this.#changesMax = options.changesMax;
    this.#onEnd = options.onEnd;
  }

  listen(signal: AbortSignal): void {
    this.#listening = onAbort(signal, () => this.end(undefined));
    if (this.#ended) this.#listening[Symbol.dispose]();
  }

  push(change: PluginChange): void {
    if (this.#changes.length >= this.#changesMax) {
      this.end(
        new ExecError('READER_TOO_SLOW', `The watcher fell more than ${this.#changesMax} changes behind: watch again`),
      );
      return;
    }
    this.#changes.push(change);
    this.#wake?.();
  }

  /** Ends at once: what the reader has not taken yet is dropped. */
  end(error: ExecError | undefined): void {
    if (this.#ended) return;
    this.#ended = { error };
    this.#changes = [];
    this.#listening?.[Symbol.dispose]();
    this.#onEnd();
    this.#wake?.();
  }

  async next(): Promise<IteratorResult<PluginChange, undefined>> {
    for (;;) {
      if (this.#ended) return this.#last(this.#ended);
      const value = this.#take();
      if (value !== undefined) return { done: false, value };
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      await promise;
    }
  }

  async return(): Promise<IteratorResult<PluginChange, undefined>> {
    this.end(undefined);
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #take(): PluginChange | undefined {
    if (!this.#snapshotDone) {
      const next = this.#snapshot.next();
      if (next.done !== true) return next.value;
      this.#snapshotDone = true;
    }
    return this.#changes.shift();
  }

  /** The error is thrown once; after it the watcher is just at its end. */
  #last(ended: { readonly error: ExecError | undefined }): IteratorResult<PluginChange, undefined> {
    this.#ended = { error: undefined };
    if (ended.error) throw ended.error;
    return { done: true, value: undefined };
  }
}
