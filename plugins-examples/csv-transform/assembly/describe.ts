/** What is known of one column: how many cells are filled, the least and the greatest of them. */

import { Writer } from "./writer";
import { decimal, parseNumber } from "./text";

const keptBytesMax: u32 = 256;

export class ColumnSummary {
  filled: u32 = 0;
  private isNumeric: bool = true;
  private least: f64 = Infinity;
  private greatest: f64 = -Infinity;
  private readonly first: usize = heap.alloc(keptBytesMax);
  private firstLength: u32 = 0;
  private readonly last: usize = heap.alloc(keptBytesMax);
  private lastLength: u32 = 0;

  constructor(private readonly name: string) {}

  add(pointer: usize, length: u32): void {
    if (length == 0) return;
    if (this.isNumeric) this.addNumber(parseNumber(pointer, length));
    if (this.filled == 0 || compare(pointer, length, this.first, this.firstLength) < 0) {
      this.firstLength = keep(pointer, length, this.first);
    }
    if (this.filled == 0 || compare(pointer, length, this.last, this.lastLength) > 0) {
      this.lastLength = keep(pointer, length, this.last);
    }
    this.filled++;
  }

  write(writer: Writer): void {
    writer.text(`{"name":`);
    writeString(writer, this.name);
    writer.text(`,"type":"${this.type()}","non_empty":${this.filled},"min":`);
    this.writeBound(writer, this.least, this.first, this.firstLength);
    writer.text(`,"max":`);
    this.writeBound(writer, this.greatest, this.last, this.lastLength);
    writer.text("}");
  }

  private addNumber(value: f64): void {
    if (!isFinite(value)) {
      this.isNumeric = false;
      return;
    }
    this.least = min(this.least, value);
    this.greatest = max(this.greatest, value);
  }

  private type(): string {
    if (this.filled == 0) return "empty";
    return this.isNumeric ? "number" : "text";
  }

  private writeBound(writer: Writer, value: f64, pointer: usize, length: u32): void {
    if (this.filled == 0) writer.text("null");
    else if (this.isNumeric) writer.text(decimal(value));
    else writeString(writer, String.UTF8.decodeUnsafe(pointer, length));
  }
}

/** A JSON string. */
function writeString(writer: Writer, value: string): void {
  writer.byte(0x22);
  const bytes = String.UTF8.encode(value);
  const pointer = changetype<usize>(bytes);
  for (let i = 0; i < bytes.byteLength; i++) {
    const c = load<u8>(pointer + i);
    if (c == 0x22 || c == 0x5c) writer.byte(0x5c);
    if (c < 0x20) writer.text("\\u00" + (c < 0x10 ? "0" : "1") + (c & 0x0f).toString(16));
    else writer.byte(c);
  }
  writer.byte(0x22);
}

function compare(a: usize, aLength: u32, b: usize, bLength: u32): i32 {
  const order = memory.compare(a, b, min(aLength, bLength));
  return order != 0 ? order : <i32>aLength - <i32>bLength;
}

/** Copies at most keptBytesMax bytes, cut between characters. */
function keep(pointer: usize, length: u32, into: usize): u32 {
  let size = min(length, keptBytesMax);
  if (size < length) while (size > 0 && (load<u8>(pointer + size) & 0xc0) == 0x80) size--;
  memory.copy(into, pointer, size);
  return size;
}
