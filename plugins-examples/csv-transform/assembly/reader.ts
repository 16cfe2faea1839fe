/**
 * Reads CSV (RFC 4180) record by record. Holds one piece of the input and one
 * record, never the whole: memory does not grow with the input. It knows nothing
 * of headers or columns' names.
 */

import { inputLength, inputRead } from "../../sdk/assembly/caisson";
import { counted, grouped } from "./text";

const pieceBytes: u32 = 65_536;
const recordBytesMax: u32 = 1_048_576;
/** Most cells of a record. */
export const cellsMax: i32 = 1_024;

const lineFeed: i32 = 0x0a;
const carriageReturn: i32 = 0x0d;
const quote: i32 = 0x22;
const end: i32 = -1;

export class Reader {
  /** What is wrong with the CSV; empty while nothing is. */
  error: string = "";
  /** Line on which the current record begins, from 1. */
  line: u32 = 1;
  /** Cells of the current record. */
  count: i32 = 0;
  /** Bytes of input taken so far. */
  offset: u32 = 0;
  /** Bytes of input in all. */
  readonly length: u32 = inputLength();

  private readonly piece: usize = heap.alloc(pieceBytes);
  private at: usize = 0;
  private limit: usize = 0;
  private pieceStart: u32 = 0;
  private currentLine: u32 = 1;
  private readonly record: usize = heap.alloc(recordBytesMax);
  private recordLength: u32 = 0;
  private readonly cellEnds: StaticArray<u32> = new StaticArray<u32>(cellsMax);
  private cells: i32 = 0;

  constructor(private readonly delimiter: i32) {
    const isMarked = this.length >= 3 && this.peek() == 0xef && load<u8>(this.at, 1) == 0xbb && load<u8>(this.at, 2) == 0xbf;
    if (isMarked) this.at += 3;
  }

  /** Address of a cell's bytes, quotes undone. Valid until the next record. */
  cell(index: i32): usize {
    return this.record + (index == 0 ? 0 : this.cellEnds[index - 1]);
  }

  cellLength(index: i32): u32 {
    return this.cellEnds[index] - (index == 0 ? 0 : this.cellEnds[index - 1]);
  }

  cellText(index: i32): string {
    return String.UTF8.decodeUnsafe(this.cell(index), this.cellLength(index));
  }

  /** Moves to the next record. False at the end of the input, or if the CSV is bad: see error. */
  next(): bool {
    while (this.peek() != end) {
      this.line = this.currentLine;
      this.count = 0;
      this.recordLength = 0;
      const wasQuoted = this.peek() == quote;
      if (!this.readRecord()) return false;
      this.offset = this.taken();
      const isEmptyLine = this.count == 1 && this.recordLength == 0 && !wasQuoted;
      if (isEmptyLine && this.cells != 1) continue;
      if (this.cells == 0) this.cells = this.count;
      if (this.count == this.cells) return true;
      this.error = `Line ${this.line}: ${counted(this.count, "cell")}, but the first record has ${this.cells}`;
      return false;
    }
    this.offset = this.length;
    return false;
  }

  private readRecord(): bool {
    for (;;) {
      const isRead = this.peek() == quote ? this.readQuoted() : this.readBare();
      if (!isRead) return false;
      if (this.count == cellsMax) return this.bad(this.line, `more than ${grouped(cellsMax)} cells`);
      this.cellEnds[this.count++] = this.recordLength;
      if (this.peek() == this.delimiter) {
        this.at++;
        continue;
      }
      return this.readLineEnd();
    }
  }

  private readLineEnd(): bool {
    if (this.peek() == carriageReturn) {
      this.at++;
      if (this.peek() != lineFeed && this.peek() != end) return this.bad(this.currentLine, "a carriage return without a line feed after it");
    }
    if (this.peek() == lineFeed) {
      this.at++;
      this.currentLine++;
    }
    return true;
  }

  private readBare(): bool {
    for (let c = this.peek(); !this.endsCell(c); c = this.peek()) {
      if (c == quote) return this.bad(this.currentLine, "a quote inside an unquoted cell; quote the whole cell and write the quote twice");
      this.at++;
      if (!this.keep(c)) return false;
    }
    return true;
  }

  private readQuoted(): bool {
    const openedOn = this.currentLine;
    this.at++;
    for (;;) {
      const c = this.peek();
      if (c == end) return this.bad(openedOn, "a quoted cell begins here and never ends");
      this.at++;
      if (c == quote) {
        if (this.peek() != quote) break;
        this.at++;
      } else if (c == lineFeed) this.currentLine++;
      if (!this.keep(c)) return false;
    }
    if (this.endsCell(this.peek())) return true;
    return this.bad(this.currentLine, "text after the closing quote of a cell");
  }

  // @ts-ignore: decorator
  @inline
  private endsCell(c: i32): bool {
    return c == this.delimiter || c == lineFeed || c == carriageReturn || c == end;
  }

  // @ts-ignore: decorator
  @inline
  private keep(c: i32): bool {
    if (this.recordLength == recordBytesMax) return this.bad(this.line, `a record of more than ${grouped(recordBytesMax)} bytes`);
    store<u8>(this.record + this.recordLength++, <u8>c);
    return true;
  }

  /** The next byte, or -1 at the end. */
  // @ts-ignore: decorator
  @inline
  private peek(): i32 {
    return this.at < this.limit || this.refill() ? <i32>load<u8>(this.at) : end;
  }

  private refill(): bool {
    const from = this.taken();
    const size = min(pieceBytes, this.length - from);
    if (size == 0) return false;
    inputRead(from, this.piece, size);
    this.pieceStart = from;
    this.at = this.piece;
    this.limit = this.piece + size;
    return true;
  }

  private taken(): u32 {
    return this.limit == 0 ? 0 : this.pieceStart + <u32>(this.at - this.piece);
  }

  private bad(line: u32, text: string): bool {
    this.error = `Line ${line}: ${text}`;
    return false;
  }
}
