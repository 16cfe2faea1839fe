/** Writing of the primitive encodings into a buffer that grows. LEB128 is written as short as can be. */

const textEncoder = new TextEncoder();
const startBytes = 256;
const copyLoopMax = 48;

export class ByteWriter {
  #buffer = new Uint8Array(startBytes);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  u8(...bytes: readonly number[]): this {
    this.#reserve(bytes.length);
    for (const byte of bytes) this.#buffer[this.#length++] = byte;
    return this;
  }

  /** One byte, without the cost of a list of arguments. */
  byte(value: number): this {
    this.#reserve(1);
    this.#buffer[this.#length++] = value;
    return this;
  }

  bytes(bytes: Uint8Array): this {
    this.#reserve(bytes.length);
    this.#buffer.set(bytes, this.#length);
    this.#length += bytes.length;
    return this;
  }

  /** The bytes between two places of others. */
  copy(from: Uint8Array, start: number, end: number): this {
    const count = end - start;
    this.#reserve(count);
    // A view costs more than the few bytes that lie between two changes of code.
    if (count > copyLoopMax) this.#buffer.set(from.subarray(start, end), this.#length);
    else for (let place = 0; place < count; place++) this.#buffer[this.#length + place] = from[start + place] as number;
    this.#length += count;
    return this;
  }

  /** Forgets what has been written, so that the buffer serves again. */
  clear(): void {
    this.#length = 0;
  }

  /** Unsigned LEB128 of an integer between 0 and 2^53. */
  unsigned(value: number): this {
    let rest = value;
    while (rest >= 0x80) {
      this.byte((rest % 0x80) | 0x80);
      rest = Math.floor(rest / 0x80);
    }
    return this.byte(rest);
  }

  /** Signed LEB128 of an integer between -2^53 and 2^53. */
  signed(value: number): this {
    let rest = value;
    while (rest < -0x40 || rest >= 0x40) {
      const low = ((rest % 0x80) + 0x80) % 0x80;
      this.byte(low | 0x80);
      rest = (rest - low) / 0x80;
    }
    return this.byte(rest & 0x7f);
  }

  name(text: string): this {
    return this.sized(textEncoder.encode(text));
  }

  /** Bytes after their length. */
  sized(bytes: Uint8Array): this {
    return this.unsigned(bytes.length).bytes(bytes);
  }

  /** A vector: its length, then each item as `write` writes it. */
  vector<T>(items: readonly T[], write: (item: T, writer: ByteWriter) => void): this {
    this.unsigned(items.length);
    for (const item of items) write(item, this);
    return this;
  }

  /** A section of the id, with what `write` writes as its content. */
  section(id: number, write: (content: ByteWriter) => void): this {
    const content = new ByteWriter();
    write(content);
    return this.u8(id).sized(content.finish());
  }

  /** What has been written: a view, valid until more is written. */
  finish(): Uint8Array<ArrayBuffer> {
    return this.#buffer.subarray(0, this.#length);
  }

  #reserve(count: number): void {
    const needed = this.#length + count;
    if (needed <= this.#buffer.length) return;
    const grown = new Uint8Array(Math.max(needed, this.#buffer.length * 2));
    grown.set(this.#buffer.subarray(0, this.#length));
    this.#buffer = grown;
  }
}
