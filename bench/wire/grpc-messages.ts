/** Messages of gRPC in their frames of five bytes: writing them, and finding them in a stream of bytes. */

export const prefixBytes = 5;

/** A message with its prefix, uncompressed. */
export function grpcFrame(message: Uint8Array): Buffer {
  const framed = Buffer.allocUnsafe(prefixBytes + message.length);
  framed[0] = 0;
  framed.writeUInt32BE(message.length, 1);
  framed.set(message, prefixBytes);
  return framed;
}

/** Finds the messages in a stream of bytes. */
export class MessageReader {
  #parts: Buffer[] = [];
  #bytes = 0;

  /** Calls `take` for each message that is whole by now, with a view. */
  push(chunk: Buffer, take: (message: Buffer) => void): void {
    if (this.#bytes + chunk.length < this.#wanted(chunk)) {
      this.#parts.push(chunk);
      this.#bytes += chunk.length;
      return;
    }
    const bytes = this.#bytes === 0 ? chunk : Buffer.concat([...this.#parts, chunk]);
    let at = 0;
    for (;;) {
      const end = bytes.length - at < prefixBytes ? Infinity : at + prefixBytes + bytes.readUInt32BE(at + 1);
      if (end > bytes.length) break;
      take(bytes.subarray(at + prefixBytes, end));
      at = end;
    }
    this.#parts = at < bytes.length ? [bytes.subarray(at)] : [];
    this.#bytes = bytes.length - at;
  }

  /** Bytes up to the end of the message that has begun; only its prefix if that is not known. */
  #wanted(chunk: Buffer): number {
    const first = this.#parts[0] ?? chunk;
    return first.length < prefixBytes ? prefixBytes : prefixBytes + first.readUInt32BE(1);
  }
}
