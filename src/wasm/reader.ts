/**
 * Reading of the primitive encodings, bounds-checked. Every failure is a
 * WasmError that names the byte. It knows nothing of sections.
 */

import type { Reason } from '../model/reasons.ts';
import { byteLocation, WasmError } from './problem.ts';

const nameDecoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const lossyDecoder = new TextDecoder('utf-8', { ignoreBOM: true });

/** A name longer than this is refused by V8, too. */
export const nameBytesMax = 100_000;

/** A position in the bytes of a module and an end that it never passes. */
export class ByteReader {
  readonly bytes: Uint8Array;
  offset: number;
  end: number;
  /** What lies between start and end, for messages: "type section". */
  part: string;

  constructor(bytes: Uint8Array, range: { readonly start: number; readonly end: number }, part: string) {
    this.bytes = bytes;
    this.offset = range.start;
    this.end = range.end;
    this.part = part;
  }

  get left(): number {
    return this.end - this.offset;
  }

  fail(message: string, offset = this.offset, reason: Reason = 'WASM_INVALID'): never {
    throw new WasmError({ reason, location: byteLocation(offset), message });
  }

  u8(): number {
    if (this.offset >= this.end) this.#failEnd();
    return this.bytes[this.offset++] as number;
  }

  /** The next byte without moving on. */
  peek(): number {
    if (this.offset >= this.end) this.#failEnd();
    return this.bytes[this.offset] as number;
  }

  skip(count: number): void {
    if (count > this.left) this.#failEnd();
    this.offset += count;
  }

  /** Unsigned 32-bit LEB128; padding with zero groups up to 5 bytes is legal. */
  u32(): number {
    if (this.offset < this.end) {
      const byte = this.bytes[this.offset] as number;
      if (byte < 0x80) {
        this.offset++;
        return byte;
      }
    }
    return this.#longU32();
  }

  #longU32(): number {
    const start = this.offset;
    let value = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.u8();
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    const last = this.u8();
    if (last > 0x0f) this.fail('An integer is longer or greater than 32 bits allow', start);
    return (value | (last << 28)) >>> 0;
  }

  /** Unsigned 64-bit LEB128 as a number: exact up to 2^53, rounded beyond. */
  u64(): number {
    const start = this.offset;
    let value = 0;
    for (let shift = 0; shift < 63; shift += 7) {
      const byte = this.u8();
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    const last = this.u8();
    if (last > 0x01) this.fail('An integer is longer or greater than 64 bits allow', start);
    return value + last * 2 ** 63;
  }

  /** Passes over a signed LEB128 of at most `bits` bits. */
  skipSigned(bits: 32 | 64): void {
    const start = this.offset;
    const bytesMax = bits === 32 ? 5 : 10;
    for (let count = 1; count < bytesMax; count++) {
      if (this.u8() < 0x80) return;
    }
    const last = this.u8();
    const unused = bits === 32 ? last >> 3 : last;
    const ones = bits === 32 ? 0x0f : 0x7f;
    if (last >= 0x80 || (unused !== 0 && unused !== ones)) {
      this.fail(`An integer is longer or greater than ${bits} bits allow`, start);
    }
  }

  /** Signed 33-bit LEB128, as block types and heap types use it. */
  s33(): number {
    const start = this.offset;
    let value = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.u8();
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return byte & 0x40 ? value - 2 ** (shift + 7) : value;
    }
    const last = this.u8();
    const sign = last & 0x10;
    const unused = last & 0x60;
    if (last >= 0x80 || unused !== (sign === 0 ? 0 : 0x60)) {
      this.fail('An integer is longer or greater than 33 bits allow', start);
    }
    const sum = value + (last & 0x1f) * 2 ** 28;
    return sign === 0 ? sum : sum - 2 ** 33;
  }

  /** The length of a vector, checked against the bytes left, of which every element needs at least one. */
  count(what: string): number {
    const start = this.offset;
    const count = this.u32();
    if (count > this.left) {
      this.fail(`The ${this.part} announces ${count} ${what}, but only ${this.left} bytes follow`, start);
    }
    return count;
  }

  /** A name, which must be UTF-8. */
  name(): string {
    const start = this.offset;
    const length = this.u32();
    if (length > nameBytesMax) this.fail(`A name is ${length} bytes long; at most ${nameBytesMax} are allowed`, start);
    const from = this.offset;
    this.skip(length);
    try {
      return nameDecoder.decode(this.bytes.subarray(from, from + length));
    } catch {
      return this.fail('A name is not valid UTF-8', start);
    }
  }

  /** Fails unless everything up to the end has been read. */
  expectEnd(): void {
    if (this.offset !== this.end) this.fail(`The ${this.part} has ${this.left} bytes too many`);
  }

  #failEnd(): never {
    return this.fail(`The ${this.part} ends in the middle of an item`, this.end);
  }
}

/** Text of bytes that need not be valid UTF-8. */
export function lossyText(bytes: Uint8Array): string {
  return lossyDecoder.decode(bytes);
}
