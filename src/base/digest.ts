/** SHA-256 digests in their written form, "sha256:" and 64 hex digits. */

import { createHash } from 'node:crypto';

export type Digest = `sha256:${string}`;

const digestForm = /^sha256:[0-9a-f]{64}$/;

export function digestOf(bytes: Uint8Array): Digest {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

export function isDigest(text: string): text is Digest {
  return digestForm.test(text);
}
