/** Gathers how runs ended, to be told in batches: of each version no more than its health looks back on. */

import type { Clock } from '../base/clock.ts';
import { type PluginVersion, referenceOf } from '../model/plugin.ts';
import { type RunFacts, windowRuns } from '../plugins/health.ts';
import type { RunNote } from './link-topics.ts';

const batchMs = 100;
/** Versions in one batch; what ends beyond is not told. */
export const batchVersionsMax = 1_000;

export class RunNotes implements Disposable {
  readonly #clock: Clock;
  readonly #tell: (notes: readonly RunNote[]) => void;
  #notes = new Map<PluginVersion, RunNote[]>();
  #timer: Disposable | undefined;

  constructor(options: { readonly clock: Clock; readonly tell: (notes: readonly RunNote[]) => void }) {
    this.#clock = options.clock;
    this.#tell = options.tell;
  }

  add(version: PluginVersion, facts: RunFacts): void {
    const ofVersion = this.#notes.get(version) ?? [];
    if (ofVersion.length === 0 && this.#notes.size >= batchVersionsMax) return;
    this.#notes.set(version, ofVersion);
    ofVersion.push({ reference: referenceOf(version), digest: version.digest, facts });
    if (ofVersion.length > windowRuns) ofVersion.shift();
    this.#timer ??= this.#clock.after(batchMs, () => this.#flush());
  }

  [Symbol.dispose](): void {
    this.#timer?.[Symbol.dispose]();
  }

  #flush(): void {
    this.#timer = undefined;
    const notes = [...this.#notes.values()].flat();
    this.#notes = new Map();
    this.#tell(notes);
  }
}
