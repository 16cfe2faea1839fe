/** A variant: a module under one limit of memory, which is what is rewritten and compiled. */

import type { Digest } from '../base/digest.ts';
import { resolveLimits } from '../model/limits.ts';
import type { Manifest } from '../model/manifest.ts';

export interface Variant {
  readonly digest: Digest;
  /** Bytes of the module. */
  readonly sizeBytes: number;
  readonly memoryBytes: number;
}

/** The variant of a version's module for a limit of memory. */
export function variantOf({ digest, sizeBytes }: Omit<Variant, 'memoryBytes'>, memoryBytes: number): Variant {
  return { digest, sizeBytes, memoryBytes };
}

/** The limit of memory of a run that asks for none. */
export function ownMemoryBytes(manifest: Pick<Manifest, 'limits'>): number {
  return resolveLimits({}, manifest.limits).memoryBytes;
}
