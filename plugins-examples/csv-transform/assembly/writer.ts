/**
 * Collects the output in pieces and hands it over as one host block at the end,
 * so that no byte is moved twice while it grows.
 */

import { blockNew, blockWrite, outputBlock } from "../../sdk/assembly/caisson";

const pieceBytes: u32 = 65_536;
const quote: u8 = 0x22;

export class Writer {
  private readonly pieces: Array<usize> = [];
  private at: usize = 0;
  private limit: usize = 0;
  private cellsInRow: i32 = 0;

  constructor(private readonly delimiter: u8) {}

  /** Bytes written so far. */
  get length(): u32 {
    return <u32>this.pieces.length * pieceBytes - <u32>(this.limit - this.at);
  }

  // @ts-ignore: decorator
  @inline
  byte(value: u8): void {
    if (this.at == this.limit) this.grow();
    store<u8>(this.at++, value);
  }

  bytes(pointer: usize, length: u32): void {
    let from = pointer;
    let left = length;
    while (left > 0) {
      if (this.at == this.limit) this.grow();
      const size = min(left, <u32>(this.limit - this.at));
      memory.copy(this.at, from, size);
      this.at += size;
      from += size;
      left -= size;
    }
  }

  text(value: string): void {
    const bytes = String.UTF8.encode(value);
    this.bytes(changetype<usize>(bytes), bytes.byteLength);
  }

  /** One cell of a CSV row, quoted only if it must be. */
  cell(pointer: usize, length: u32, isUpper: bool): void {
    if (this.cellsInRow++ > 0) this.byte(this.delimiter);
    const isQuoted = this.needsQuotes(pointer, length);
    if (isQuoted) this.byte(quote);
    if (isQuoted || isUpper) {
      for (let i: u32 = 0; i < length; i++) {
        const c = load<u8>(pointer + i);
        if (c == quote) this.byte(quote);
        this.byte(isUpper && c - 0x61 < 26 ? c - 0x20 : c);
      }
    } else this.bytes(pointer, length);
    if (isQuoted) this.byte(quote);
  }

  cellText(value: string): void {
    const bytes = String.UTF8.encode(value);
    this.cell(changetype<usize>(bytes), bytes.byteLength, false);
  }

  /** Ends a row. A row of one empty cell is written as two quotes, else it would be an empty line. */
  endRow(isOneEmptyCell: bool): void {
    if (isOneEmptyCell) {
      this.byte(quote);
      this.byte(quote);
    }
    this.byte(0x0a);
    this.cellsInRow = 0;
  }

  /** Makes everything written the output of this run. */
  finish(): void {
    const total = this.length;
    const block = blockNew(total);
    for (let i = 0; i < this.pieces.length; i++) {
      const start = <u32>i * pieceBytes;
      blockWrite(block + start, this.pieces[i], min(pieceBytes, total - start));
    }
    outputBlock(block, total);
  }

  private needsQuotes(pointer: usize, length: u32): bool {
    for (let i: u32 = 0; i < length; i++) {
      const c = load<u8>(pointer + i);
      if (c == this.delimiter || c == quote || c == 0x0a || c == 0x0d) return true;
    }
    return false;
  }

  private grow(): void {
    const piece = heap.alloc(pieceBytes);
    this.pieces.push(piece);
    this.at = piece;
    this.limit = piece + pieceBytes;
  }
}
