/**
 * Writes the bodies of a guest whose functions get other indices: what calls
 * them or refers to them is changed, and with it branch hints and the map of
 * positions. Nothing else of the code moves.
 */

import { readBody } from '../code.ts';
import { IntList } from '../int-list.ts';
import { InstructionReader } from '../instructions.ts';
import { OffsetMapWriter } from '../metering/offset-map.ts';
import { opcodes } from '../opcodes.ts';
import { byteLocation, WasmError } from '../problem.ts';
import { ByteReader } from '../reader.ts';
import { type DecodeContext } from '../types.ts';
import { ByteWriter } from '../writer.ts';

const call = 0x10;
const returnCall = 0x12;
/** What V8 allows. */
const bodyBytesMax = 7_654_321;

export interface MovedCode {
  /** All bodies, each behind its size. */
  readonly bodies: Uint8Array;
  readonly offsets: OffsetMapWriter;
  /** Content of the section of branch hints behind its name; undefined if there were none. */
  readonly hints: Uint8Array | undefined;
}

export interface GuestCode {
  readonly bytes: Uint8Array;
  readonly context: DecodeContext;
  /** The code section; undefined if there is none. */
  readonly code: ByteReader | undefined;
  /** The section of branch hints behind its name. */
  readonly hints: ByteReader | undefined;
  readonly importedFunctions: number;
  /** The new index of each function. */
  readonly moves: Uint32Array;
}

export function moveGuestCode(guest: GuestCode): MovedCode {
  return new CodeMover(guest).move();
}

class CodeMover {
  readonly #guest: GuestCode;
  readonly #range: ByteReader;
  readonly #instructions: InstructionReader;
  readonly #offsets = new OffsetMapWriter();
  readonly #hints: HintMover | undefined;
  readonly #body = new ByteWriter();
  /** Of the changes of a body: where each ends in the original, and by how much the code has then grown. */
  readonly #growth = new IntList();

  constructor(guest: GuestCode) {
    this.#guest = guest;
    this.#range = new ByteReader(guest.bytes, { start: 0, end: 0 }, 'function body');
    this.#instructions = new InstructionReader(this.#range, guest.context);
    this.#hints = guest.hints && new HintMover(guest.hints, guest.moves);
  }

  move(): MovedCode {
    const { code, context, importedFunctions } = this.#guest;
    const to = new ByteWriter();
    for (let index = importedFunctions, left = code?.u32() ?? 0; left > 0; left--, index++) {
      const { start, codeStart, end } = readBody(code as ByteReader, context);
      this.#moveBody(index, { start, codeStart, end });
      this.#hints?.moveBody(index, start, this.#growth);
      to.unsigned(this.#body.length);
      this.#offsets.endBody(to.length);
      to.bytes(this.#body.finish());
    }
    return { bodies: to.finish(), offsets: this.#offsets, hints: this.#hints?.finish() };
  }

  #moveBody(index: number, body: { readonly start: number; readonly codeStart: number; readonly end: number }): void {
    const instructions = this.#instructions;
    this.#body.clear();
    this.#growth.length = 0;
    this.#offsets.startBody(body.start);
    this.#range.offset = body.codeStart;
    this.#range.end = body.end;
    let copied = body.start;
    while (instructions.next()) {
      const { opcode } = instructions;
      if (opcode !== call && opcode !== returnCall && opcode !== opcodes.refFunc) continue;
      this.#body.copy(this.#guest.bytes, copied, instructions.immediatesStart);
      this.#moveIndex(instructions.immediatesStart, instructions.index, body.start);
      copied = this.#range.offset;
    }
    this.#body.copy(this.#guest.bytes, copied, body.end);
    if (this.#body.length > bodyBytesMax) failBody(index, body.start, this.#body.length);
  }

  #moveIndex(start: number, index: number, bodyStart: number): void {
    const end = this.#range.offset;
    const before = this.#body.length;
    this.#body.unsigned(this.#guest.moves[index] as number);
    if (this.#body.length - before === end - start) return;
    this.#offsets.change(start, end, this.#body.length - before);
    this.#growth.push(end);
    this.#growth.push(this.#body.length - (end - bodyStart));
  }
}

function failBody(index: number, start: number, bytes: number): never {
  throw new WasmError({
    reason: 'WASM_OVER_LIMIT',
    location: byteLocation(start),
    message: `Function ${index} of the rewritten module has ${bytes} bytes; at most ${bodyBytesMax} are possible; split it`,
  });
}

/** Moves the hints of one function after the other, in the order in which they are written down. */
class HintMover {
  readonly #section: ByteReader;
  readonly #moves: Uint32Array;
  readonly #content = new ByteWriter();
  #left: number;
  /** The function whose hints come next. */
  #function = -1;

  constructor(section: ByteReader, moves: Uint32Array) {
    this.#section = section;
    this.#moves = moves;
    this.#left = section.u32();
    this.#content.unsigned(this.#left);
    this.#next();
  }

  #next(): void {
    this.#function = this.#left-- > 0 ? this.#section.u32() : -1;
  }

  moveBody(index: number, bodyStart: number, growth: IntList): void {
    if (index !== this.#function) return;
    const section = this.#section;
    const count = section.u32();
    this.#content.unsigned(this.#moves[index] as number).unsigned(count);
    let grown = 0;
    let change = 0;
    for (let left = count; left > 0; left--) {
      const offset = section.u32();
      for (; change < growth.length && growth.at(change) <= bodyStart + offset; change += 2)
        grown = growth.at(change + 1);
      const length = section.u32();
      this.#content.unsigned(offset + grown).unsigned(length);
      this.#content.copy(section.bytes, section.offset, section.offset + length);
      section.skip(length);
    }
    this.#next();
  }

  finish(): Uint8Array {
    return this.#content.finish();
  }
}
