/** What all functions of the family share while one call lasts. */

import { wasi } from '@bjorn3/browser_wasi_shim';
import type { CallContext } from '../call-context.ts';
import type { Descriptor, DescriptorTable } from './descriptors.ts';
import { type Folder, isFolder } from './folder.ts';
import type { GuestMemory } from './guest-memory.ts';
import { plainPath } from './paths.ts';
import { refuse } from './refusal.ts';

export interface WasiCall {
  readonly call: CallContext;
  readonly memory: GuestMemory;
  readonly descriptors: DescriptorTable;
}

/** The directory that a descriptor stands for. */
export function folderOf(descriptor: Descriptor): Folder {
  return isFolder(descriptor.handle) ? descriptor.handle : refuse(wasi.ERRNO_NOTDIR);
}

/** The path written there, made plain. */
export function pathAt({ call, memory }: WasiCall, pointer: number, length: number): string {
  const bytes = memory.view(pointer, length);
  const path = plainPath(bytes);
  call.chargeBytes(length);
  return path;
}
