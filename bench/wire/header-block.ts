/**
 * HPACK without its dynamic table, which the client of this folder tells servers
 * not to use: writes headers as literals, and reads the names and values that a
 * server wrote out. Names that stand in the static table read as "#" and the index.
 */

import { decodeHuffman } from './huffman.ts';

/** The block of these headers. */
export function encodeHeaders(headers: readonly (readonly [string, string])[]): Buffer {
  const parts = headers.flatMap(([name, value]) => [Buffer.of(0), ...literal(name), ...literal(value)]);
  return Buffer.concat(parts);
}

function literal(text: string): readonly Buffer[] {
  const bytes = Buffer.from(text, 'latin1');
  return [prefixed(bytes.length), bytes];
}

/** A whole number in the form of RFC 7541, section 5.1, with a prefix of 7 bits. */
function prefixed(value: number): Buffer {
  if (value < 127) return Buffer.of(value);
  const bytes = [127];
  let rest = value - 127;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  return Buffer.of(...bytes, rest);
}

/** The headers of a block that a server wrote. */
export function decodeHeaders(block: Uint8Array): ReadonlyMap<string, string> {
  const reader = new BlockReader(block);
  const headers = new Map<string, string>();
  while (!reader.atEnd) reader.readInto(headers);
  return headers;
}

class BlockReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get atEnd(): boolean {
    return this.#at >= this.#bytes.length;
  }

  readInto(headers: Map<string, string>): void {
    const first = this.#bytes[this.#at] ?? 0;
    if (first >= 0x80) headers.set(`#${this.#number(7)}`, '');
    else if (first >= 0x40) headers.set(this.#name(6), this.#text());
    else if (first >= 0x20) this.#number(5);
    else headers.set(this.#name(4), this.#text());
  }

  #name(prefixBits: number): string {
    const index = this.#number(prefixBits);
    return index === 0 ? this.#text() : `#${index}`;
  }

  #text(): string {
    const isCoded = ((this.#bytes[this.#at] ?? 0) & 0x80) !== 0;
    const length = this.#number(7);
    const bytes = this.#bytes.subarray(this.#at, this.#at + length);
    this.#at += length;
    return isCoded ? decodeHuffman(bytes) : Buffer.from(bytes).toString('latin1');
  }

  #number(prefixBits: number): number {
    const mask = (1 << prefixBits) - 1;
    let value = (this.#bytes[this.#at++] ?? 0) & mask;
    if (value < mask) return value;
    for (let scale = 1; ; scale *= 128) {
      const byte = this.#bytes[this.#at++] ?? 0;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
  }
}
