/** Writing of the primitive encodings into a buffer that grows. LEB128 is written as short as can be. */

const textEncoder = new TextEncoder();
const startBytes = 256;

export class ByteWriter {
  #buffer = new Uint8Array(startBytes);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  u8(...bytes: readonly number[]): this {
    return this.bytes(Uint8Array.from(bytes));
  }

  bytes(bytes: Uint8Array): this {
    this.#reserve(bytes.length);
    this.#buffer.set(bytes, this.#length);
    this.#length += bytes.length;
    return this;
  }

  /** Unsigned LEB128 of an integer between 0 and 2^53. */
  unsigned(value: number): this {
    let rest = value;
    while (rest >= 0x80) {
      this.#byte((rest % 0x80) | 0x80);
      rest = Math.floor(rest / 0x80);
    }
    this.#byte(rest);
    return this;
  }

  /** Signed LEB128 of an integer of at most 64 bits. */
  signed(value: number | bigint): this {
    let rest = BigInt(value);
    while (rest < -0x40n || rest >= 0x40n) {
      this.#byte(Number(rest & 0x7fn) | 0x80);
      rest >>= 7n;
    }
    this.#byte(Number(rest & 0x7fn));
    return this;
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

  #byte(value: number): void {
    this.#reserve(1);
    this.#buffer[this.#length++] = value;
  }

  #reserve(count: number): void {
    const needed = this.#length + count;
    if (needed <= this.#buffer.length) return;
    const grown = new Uint8Array(Math.max(needed, this.#buffer.length * 2));
    grown.set(this.#buffer.subarray(0, this.#length));
    this.#buffer = grown;
  }
}
