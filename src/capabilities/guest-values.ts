/** What host functions take out of a guest's blocks and put into new ones, charged for and bounded. */

import { type CallContext, stopped } from './call-context.ts';
import { exactText } from './guest-text.ts';

/** The text of a block; undefined if there is no such block, it is longer than `bytesMax`, or it is not UTF-8. Charges what it reads. */
export function textOf(call: CallContext, address: bigint, bytesMax: number): string | undefined {
  const bytes = call.blocks.view(address);
  if (bytes === undefined || bytes.length > bytesMax) return undefined;
  call.chargeBytes(bytes.length);
  return exactText(bytes);
}

/** A copy of a block's bytes; undefined if there is no such block or it is longer than `bytesMax`. Charges what it reads. */
export function bytesOf(call: CallContext, address: bigint, bytesMax: number): Uint8Array | undefined {
  const bytes = call.blocks.view(address);
  if (bytes === undefined || bytes.length > bytesMax) return undefined;
  call.chargeBytes(bytes.length);
  return new Uint8Array(bytes);
}

/** A new block with these bytes, which are charged for. If there is no room for `what`, the guest is stopped. */
export function newBlock(call: CallContext, bytes: Uint8Array, what: string): bigint {
  call.chargeBytes(bytes.length);
  const block = call.blocks.write(bytes);
  if (block !== undefined) return block;
  call.stop('KERNEL_MEMORY', `No kernel memory is left for ${what}`);
  return stopped.address;
}

/** Frees blocks that a host function was given. */
export function freeAll(call: CallContext, ...addresses: readonly bigint[]): void {
  for (const address of addresses) call.blocks.free(address);
}
