/**
 * Compiled variants of modules, one for each module and limit of memory: the
 * ones used last are kept, and one that several ask for is compiled once. How a
 * variant is compiled is the caller's.
 */

import { LRUCache } from 'lru-cache';
import type { Digest } from '../base/digest.ts';
import type { CompiledPlugin } from '../sandbox/compiler.ts';
import { unlessAborted } from './aborted.ts';
import type { PluginBounds } from './bounds.ts';
import type { Variant } from './variant.ts';

export interface ArtifactsOptions {
  readonly bounds: Pick<PluginBounds, 'variantsMax' | 'variantBytesMax'>;
  readonly compile: (variant: Variant) => Promise<CompiledPlugin>;
  /** Asked when compiling is done: whether anybody has a use for keeping it. */
  readonly isUsed: (digest: Digest) => boolean;
  /** Told that nobody may run a module any more. */
  readonly released?: ((digest: Digest) => void) | undefined;
}

export class Artifacts {
  readonly #options: ArtifactsOptions;
  readonly #kept: LRUCache<string, CompiledPlugin>;
  /** At most as many as may wait for their module. */
  readonly #compiling = new Map<string, Promise<CompiledPlugin>>();

  constructor(options: ArtifactsOptions) {
    this.#options = options;
    this.#kept = new LRUCache({ max: options.bounds.variantsMax, maxSize: options.bounds.variantBytesMax });
  }

  /** The variant if it is kept. */
  kept(variant: Variant): CompiledPlugin | undefined {
    return this.#kept.get(keyOf(variant));
  }

  /** The variant, kept or compiled now. The signal ends only this caller's waiting. */
  async get(variant: Variant, signal: AbortSignal): Promise<CompiledPlugin> {
    const kept = this.kept(variant);
    if (kept) return kept;
    return await unlessAborted(this.#compiling.get(keyOf(variant)) ?? this.#compile(variant), signal);
  }

  /** Forgets every variant of a module that nobody has a use for. */
  release(digest: Digest): void {
    if (this.#options.isUsed(digest)) return;
    for (const key of [...this.#kept.keys()]) if (key.startsWith(`${digest}/`)) this.#kept.delete(key);
    this.#options.released?.(digest);
  }

  #compile(variant: Variant): Promise<CompiledPlugin> {
    const key = keyOf(variant);
    const compiling = this.#compileAndKeep(variant).finally(() => this.#compiling.delete(key));
    this.#compiling.set(key, compiling);
    return compiling;
  }

  async #compileAndKeep(variant: Variant): Promise<CompiledPlugin> {
    const compiled = await this.#options.compile(variant);
    if (this.#options.isUsed(variant.digest)) this.#kept.set(keyOf(variant), compiled, { size: variant.sizeBytes });
    return compiled;
  }
}

function keyOf(variant: Variant): string {
  return `${variant.digest}/${variant.memoryBytes}`;
}
