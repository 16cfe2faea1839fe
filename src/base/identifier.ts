/**
 * Identifiers that sort by the time of their making: UUID version 7 (RFC 9562,
 * section 5.7). Six of the random bits can carry a mark that is found again.
 */

import { randomFillSync } from 'node:crypto';

/** Greatest mark: it takes the six bits that follow the variant, in the ninth byte. */
export const idMarkMax = 63;

const idForm = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-([89ab][0-9a-f])[0-9a-f]{2}-[0-9a-f]{12}$/;

/** Random bytes fetched ahead: fetching takes as long for thousands as for sixteen. */
const idBytes = 16;
const random = Buffer.alloc(idBytes * 256);
let taken = random.length;

function randomBytes(): Buffer {
  if (taken === random.length) {
    randomFillSync(random);
    taken = 0;
  }
  taken += idBytes;
  return random.subarray(taken - idBytes, taken);
}

/** A new identifier, random but for its time and, if one is given, its mark. */
export function timeOrderedId(nowMs: number, mark?: number): string {
  const bytes = randomBytes();
  bytes.writeUIntBE(Math.floor(nowMs), 0, 6);
  bytes[6] = 0x70 | ((bytes[6] ?? 0) & 0x0f);
  bytes[8] = 0x80 | ((mark ?? bytes[8] ?? 0) & idMarkMax);
  const hex = bytes.toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/** The six bits in which an identifier can carry a mark; undefined if it is no such identifier. */
export function markOf(id: string): number | undefined {
  const [, byte] = idForm.exec(id) ?? [];
  return byte === undefined ? undefined : Number.parseInt(byte, 16) & idMarkMax;
}
