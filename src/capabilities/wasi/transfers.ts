/** Reading into pieces of the guest's memory, and writing from them. */

import type { Fd } from '@bjorn3/browser_wasi_shim';
import { accept, partly } from './refusal.ts';
import type { WasiCall } from './wasi-call.ts';

export interface Pieces {
  /** Where the array of pieces is, and how many there are. */
  readonly vectors: number;
  readonly count: number;
  /** Where to tell how many bytes were moved. */
  readonly result: number;
  /** Bytes to be moved at most. */
  readonly bytesMax?: number;
}

/** Reads at most `size` bytes, of a transfer that has moved so many already. */
type Read = (size: number, moved: number) => ReturnType<Fd['fd_read']>;
type Write = (data: Uint8Array, moved: number) => ReturnType<Fd['fd_write']>;

/** Fills the pieces in turn until there is no more to read. */
export function readPieces({ call, memory }: WasiCall, pieces: Pieces, read: Read): void {
  memory.expectRoom(pieces.result, 4);
  const vectors = memory.vectors(pieces.vectors, pieces.count);
  let moved = 0;
  const fill = (pointer: number, length: number): void => {
    for (let filled = 0; filled < length; ) {
      const { ret, data } = read(length - filled, moved);
      accept(ret);
      if (data.length === 0) return;
      call.chargeBytes(data.length);
      memory.write(pointer + filled, data);
      filled += data.length;
      moved += data.length;
    }
  };
  partly(
    () => moved,
    () => {
      for (const { pointer, length } of vectors) fill(pointer, length);
    },
  );
  memory.setU32(pieces.result, moved);
}

/** Writes the pieces in turn until one is not taken wholly. */
export function writePieces({ call, memory }: WasiCall, pieces: Pieces, write: Write): void {
  memory.expectRoom(pieces.result, 4);
  const { bytesMax = Number.POSITIVE_INFINITY } = pieces;
  const vectors = memory.vectors(pieces.vectors, pieces.count).filter(({ length }) => length > 0);
  let moved = 0;
  partly(
    () => moved,
    () => {
      for (const { pointer, length } of vectors) {
        const data = memory.view(pointer, Math.min(length, bytesMax - moved));
        call.chargeBytes(data.length);
        const { ret, nwritten } = write(data, moved);
        accept(ret);
        moved += nwritten;
        if (nwritten < length) return;
      }
    },
  );
  memory.setU32(pieces.result, moved);
}
