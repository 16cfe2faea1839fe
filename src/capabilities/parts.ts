/** Requests and responses of host calls that consist of several parts: each part's length as a little-endian u32, then its bytes. */

const encoder = new TextEncoder();
const lengthBytes = 4;

/** One byte string of many; text is encoded as UTF-8. */
export function joinParts(...parts: readonly (Uint8Array | string)[]): Uint8Array<ArrayBuffer> {
  const all = parts.map((part) => (typeof part === 'string' ? encoder.encode(part) : part));
  const joined = new Uint8Array(all.reduce((sum, part) => sum + lengthBytes + part.length, 0));
  const view = new DataView(joined.buffer);
  let at = 0;
  for (const part of all) {
    view.setUint32(at, part.length, true);
    joined.set(part, at + lengthBytes);
    at += lengthBytes + part.length;
  }
  return joined;
}

/** The parts, as views. Throws a RangeError if the bytes are not parts: both sides are the host's. */
export function splitParts(bytes: Uint8Array): readonly Uint8Array[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const parts: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = view.getUint32(at, true);
    const begin = at + lengthBytes;
    if (begin + length > bytes.length) throw new RangeError('A part reaches beyond the end');
    parts.push(bytes.subarray(begin, begin + length));
    at = begin + length;
  }
  return parts;
}
