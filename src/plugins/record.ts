/**
 * The record of one version as it stands on disk: JSON with a checksum over the
 * rest of it, so that a damaged one is told from a sound one. Form only.
 */

import { createHash } from 'node:crypto';
import { z } from 'zod';
import { type Digest, isDigest } from '../base/digest.ts';
import type { StoredState } from './version-index.ts';

export interface StoredVersion {
  readonly manifestText: string;
  readonly digest: Digest;
  readonly sizeBytes: number;
  readonly functions: readonly string[];
  readonly otherFunctions: readonly string[];
  readonly state: StoredState;
  /** Empty unless state is failed. */
  readonly failure: string;
  readonly createdMs: number;
  readonly updatedMs: number;
}

/** Records of another format are written by another release and are not understood. */
const format = 1;

const recordSchema = z.strictObject({
  format: z.literal(format),
  digest: z.custom<Digest>((value) => typeof value === 'string' && isDigest(value)),
  sizeBytes: z.int().min(1),
  functions: z.array(z.string()),
  otherFunctions: z.array(z.string()),
  state: z.enum(['running', 'stopped', 'failed', 'retired']),
  failure: z.string(),
  createdMs: z.number(),
  updatedMs: z.number(),
  manifestText: z.string(),
});

export function encodeRecord(version: StoredVersion): string {
  const record: z.infer<typeof recordSchema> = {
    format,
    digest: version.digest,
    sizeBytes: version.sizeBytes,
    functions: [...version.functions],
    otherFunctions: [...version.otherFunctions],
    state: version.state,
    failure: version.failure,
    createdMs: version.createdMs,
    updatedMs: version.updatedMs,
    manifestText: version.manifestText,
  };
  return `${JSON.stringify({ checksum: checksumOf(record), ...record }, undefined, 2)}\n`;
}

/** Reads a record; throws an Error that says how it is damaged. */
export function decodeRecord(text: string): StoredVersion {
  const { checksum, ...record } = JSON.parse(text) as { checksum?: unknown };
  if (checksum !== checksumOf(record)) throw new Error('the checksum does not fit');
  const { format: _format, ...version } = recordSchema.parse(record);
  return version;
}

function checksumOf(record: object): string {
  return createHash('sha256').update(JSON.stringify(record)).digest('hex');
}
