/** Fields of Protocol Buffers messages, read without decoding the rest: what a load generator can afford for each answer. */

const kindVarint = 0;
const kindFixed64 = 1;
const kindBytes = 2;
const kindFixed32 = 5;

/** The last field with this number that has a length: bytes, a text or a message. A view. */
export function bytesField(message: Buffer, number: number): Buffer | undefined {
  const cursor = new Cursor(message);
  let found: Buffer | undefined;
  while (cursor.next()) if (cursor.number === number && cursor.kind === kindBytes) found = cursor.bytes;
  return found;
}

/** The last field with this number that is a whole number; 0 if there is none, as the format has it. */
export function numberField(message: Buffer, number: number): number {
  const cursor = new Cursor(message);
  let found = 0;
  while (cursor.next()) if (cursor.number === number && cursor.kind === kindVarint) found = cursor.value;
  return found;
}

/** A whole number in the form that the format has for it. */
export function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  return Buffer.of(...bytes, rest);
}

/** Goes from field to field. */
class Cursor {
  number = 0;
  kind = 0;
  value = 0;
  readonly #message: Buffer;
  #at = 0;
  #begin = 0;

  constructor(message: Buffer) {
    this.#message = message;
  }

  get bytes(): Buffer {
    return this.#message.subarray(this.#begin, this.#at);
  }

  /** False after the last field. */
  next(): boolean {
    if (this.#at >= this.#message.length) return false;
    const tag = this.#varint();
    this.number = Math.floor(tag / 8);
    this.kind = tag % 8;
    if (this.kind === kindVarint) this.value = this.#varint();
    else if (this.kind === kindBytes) this.#skip(this.#varint());
    else if (this.kind === kindFixed64) this.#skip(8);
    else if (this.kind === kindFixed32) this.#skip(4);
    else throw new Error(`A field has the unknown kind ${this.kind}`);
    return true;
  }

  #skip(bytes: number): void {
    this.#begin = this.#at;
    this.#at += bytes;
    if (this.#at > this.#message.length) throw new Error('A field ends after its message');
  }

  #varint(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = this.#message[this.#at++];
      if (byte === undefined) throw new Error('A message ends within a field');
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
  }
}
