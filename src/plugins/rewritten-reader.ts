/**
 * Reads what another process of the same server keeps of rewritten modules. It
 * writes nothing: what is missing is made again and kept in memory only.
 */

import type { Log } from '../model/log.ts';
import { join } from 'node:path';
import { decodeRewritten, type SoundAnalysis } from './rewritten-file.ts';
import { readChecked, type RewrittenOf, rewrittenDirectory, rewrittenName } from './rewritten-store.ts';

export interface RewrittenReaderOptions {
  readonly dataDirectory: string;
  readonly log: Log;
  /** As of the RewrittenStore that writes the files. */
  readonly identity: string;
}

export class RewrittenReader {
  readonly #options: RewrittenReaderOptions;

  constructor(options: RewrittenReaderOptions) {
    this.#options = options;
  }

  /** What was written for the module; undefined if nothing is there that can be used. */
  async read(of: RewrittenOf): Promise<SoundAnalysis | undefined> {
    const { dataDirectory, identity, log } = this.#options;
    const key = rewrittenName(of, identity);
    try {
      const content = await readChecked(join(rewrittenDirectory(dataDirectory), key));
      return content && decodeRewritten({ digest: of.digest, key }, content);
    } catch (error) {
      log.warn({ error, digest: of.digest }, 'Cannot read a rewritten module of another process');
      return undefined;
    }
  }

  /** The files are another process's. */
  async write(): Promise<void> {}
}
