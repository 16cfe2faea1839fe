/**
 * Random bytes of a run, made in the guest's own thread. With a seed they are the
 * same in every run of that seed, whatever the pieces they are asked for in;
 * without one they come from the system.
 */

import { createCipheriv, createHash, randomBytes } from 'node:crypto';
import { assert } from '../../base/assert.ts';
import { fixedLimits } from '../../model/limits.ts';
import type { HostAnswer } from '../../model/operation.ts';

/** Answers each call with the next so many bytes. */
export type RandomStream = (length: number) => Uint8Array;

/** The stream of a run; an empty seed is none. Everything in a run must draw from one stream: two of the same seed are equal. */
export function randomStream(seed: Uint8Array): RandomStream {
  if (seed.length === 0) return (length) => randomBytes(length);
  const key = createHash('sha256').update(seed).digest();
  const cipher = createCipheriv('aes-256-ctr', key, new Uint8Array(16));
  return (length) => cipher.update(new Uint8Array(length));
}

export interface RandomAnswers {
  /** The request is the length as 4 bytes, little-endian. */
  readonly 'random.bytes': (request: Uint8Array) => HostAnswer;
}

/** The answers of one run. */
export function randomAnswers(stream: RandomStream): RandomAnswers {
  return {
    'random.bytes': (request) => {
      const length = new DataView(request.buffer, request.byteOffset, request.byteLength).getUint32(0, true);
      assert(length <= fixedLimits.randomBytes, 'The guest half bounds the length');
      return { code: 0, payload: stream(length) };
    },
  };
}
