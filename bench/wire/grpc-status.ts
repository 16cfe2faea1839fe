/** How a call ended, read from its trailers. */

import { decodeHeaders } from './header-block.ts';

export interface GrpcStatus {
  /** The code; 0 is OK. */
  readonly code: number;
  readonly message: string;
}

export const okCode = 0;
export const resourceExhaustedCode = 8;
const unavailableCode = 14;
const unknownCode = 2;

/** What stands for a call whose stream or connection ended without a status. */
export function lost(message: string): GrpcStatus {
  return { code: unavailableCode, message };
}

/** Blocks of trailers that were read, by their bytes: most calls of a server end in the same ones. */
const known = new Map<string, GrpcStatus>();
const knownMax = 256;

export function readStatus(block: Buffer): GrpcStatus {
  const key = block.toString('latin1');
  const seen = known.get(key);
  if (seen !== undefined) return seen;
  const trailers = decodeHeaders(block);
  const code = Number(trailers.get('grpc-status') ?? unknownCode);
  const status = { code, message: decodeURIComponent(trailers.get('grpc-message') ?? '') };
  if (known.size < knownMax) known.set(key, status);
  return status;
}
