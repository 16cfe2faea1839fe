/**
 * The three standard streams: the input, the output of a command, and streams whose
 * lines go to the log. They neither seek nor tell.
 */

import { Fd, wasi } from '@bjorn3/browser_wasi_shim';
import type { LogLevel } from '../../model/execution.ts';
import { fixedLimits } from '../../model/limits.ts';
import type { CallContext } from '../call-context.ts';
import { keepLogLine } from '../log-lines.ts';

/** What one write to the log takes; a program writes the rest with its next one. */
export const logWriteBytesMax = 65_536;

/** Charged for a line beyond its bytes: what sending one costs, and what counting a dropped one does. */
const sentLineBytes = 16_384;
const droppedLineBytes = 64;

const lineFeed = 10;
const outputRoomBytes = 4_096;

abstract class Stream extends Fd {
  readonly #filetype: number;

  constructor(filetype: number) {
    super();
    this.#filetype = filetype;
  }

  override fd_fdstat_get(): { ret: number; fdstat: wasi.Fdstat } {
    return { ret: wasi.ERRNO_SUCCESS, fdstat: new wasi.Fdstat(this.#filetype, 0) };
  }

  override fd_fdstat_set_flags(): number {
    return wasi.ERRNO_SUCCESS;
  }

  override fd_filestat_get(): { ret: number; filestat: wasi.Filestat } {
    return { ret: wasi.ERRNO_SUCCESS, filestat: new wasi.Filestat(0n, this.#filetype, 0n) };
  }

  override fd_seek(): { ret: number; offset: bigint } {
    return { ret: wasi.ERRNO_SPIPE, offset: 0n };
  }

  override fd_tell(): { ret: number; offset: bigint } {
    return { ret: wasi.ERRNO_SPIPE, offset: 0n };
  }

  override fd_pread(): { ret: number; data: Uint8Array } {
    return { ret: wasi.ERRNO_SPIPE, data: new Uint8Array() };
  }

  override fd_pwrite(): { ret: number; nwritten: number } {
    return { ret: wasi.ERRNO_SPIPE, nwritten: 0 };
  }
}

/** Reads the input of the call. */
export class InputStream extends Stream {
  readonly #input: Uint8Array;
  #position = 0;

  constructor(input: Uint8Array) {
    super(wasi.FILETYPE_UNKNOWN);
    this.#input = input;
  }

  get bytesLeft(): number {
    return this.#input.length - this.#position;
  }

  override fd_read(size: number): { ret: number; data: Uint8Array } {
    const data = this.#input.subarray(this.#position, this.#position + size);
    this.#position += data.length;
    return { ret: wasi.ERRNO_SUCCESS, data };
  }
}

/** Keeps what is written, up to the limit of output. */
export class OutputStream extends Stream {
  readonly #call: CallContext;
  #kept: Uint8Array<ArrayBuffer> = new Uint8Array();
  #length = 0;

  constructor(call: CallContext) {
    super(wasi.FILETYPE_UNKNOWN);
    this.#call = call;
  }

  /** A copy of what was written; undefined if nothing was. */
  get written(): Uint8Array<ArrayBuffer> | undefined {
    return this.#length === 0 ? undefined : this.#kept.slice(0, this.#length);
  }

  override fd_write(data: Uint8Array): { ret: number; nwritten: number } {
    const bytesMax = this.#call.limits.outputBytes;
    const length = this.#length + data.length;
    if (length > bytesMax) {
      this.#call.stop(
        'OUTPUT_TOO_LARGE',
        `The output has at least ${length} bytes, limits.output_bytes is ${bytesMax}`,
      );
      return { ret: wasi.ERRNO_FBIG, nwritten: 0 };
    }
    if (length > this.#kept.length)
      this.#grow(Math.min(bytesMax, Math.max(length, 2 * this.#kept.length, outputRoomBytes)));
    this.#kept.set(data, this.#length);
    this.#length = length;
    return { ret: wasi.ERRNO_SUCCESS, nwritten: data.length };
  }

  #grow(roomBytes: number): void {
    this.#call.chargeBytes(roomBytes);
    const kept = new Uint8Array(roomBytes);
    kept.set(this.#kept.subarray(0, this.#length));
    this.#kept = kept;
  }
}

/** Sends what is written to the log, line by line. */
export class LogStream extends Stream {
  readonly #call: CallContext;
  readonly #level: LogLevel;
  /** The beginning of a line that has not ended, as much as can be shown, and one byte more to see that it was cut. */
  #begun = new Uint8Array();
  #begunBytes = 0;
  #hasBegun = false;

  constructor(call: CallContext, level: LogLevel, filetype: number) {
    super(filetype);
    this.#call = call;
    this.#level = level;
  }

  /** Takes at most logWriteBytesMax bytes. */
  override fd_write(data: Uint8Array): { ret: number; nwritten: number } {
    const taken = data.subarray(0, logWriteBytesMax);
    let start = 0;
    for (let end = taken.indexOf(lineFeed); end >= 0; end = taken.indexOf(lineFeed, start)) {
      this.#endLine(taken.subarray(start, end));
      start = end + 1;
    }
    if (start < taken.length) this.#begin(taken.subarray(start));
    return { ret: wasi.ERRNO_SUCCESS, nwritten: taken.length };
  }

  /** Sends a last line without an end. */
  flush(): void {
    if (this.#hasBegun) this.#endLine(new Uint8Array());
  }

  #begin(bytes: Uint8Array): void {
    if (this.#begun.length === 0) this.#begun = new Uint8Array(fixedLimits.logLineBytes + 1);
    const fitting = bytes.subarray(0, this.#begun.length - this.#begunBytes);
    this.#begun.set(fitting, this.#begunBytes);
    this.#begunBytes += fitting.length;
    this.#hasBegun = true;
  }

  #endLine(bytes: Uint8Array): void {
    if (this.#hasBegun) this.#begin(bytes);
    const line = this.#hasBegun ? this.#begun.subarray(0, this.#begunBytes) : bytes;
    const isKept = keepLogLine(this.#call, this.#level, line);
    this.#call.chargeBytes(isKept ? sentLineBytes : droppedLineBytes);
    this.#begunBytes = 0;
    this.#hasBegun = false;
  }
}
