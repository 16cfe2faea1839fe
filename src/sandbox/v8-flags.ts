/**
 * Settings of V8 on which the sandbox depends. They hold for the whole process,
 * for modules compiled after they were set.
 */

import { setFlagsFromString } from 'node:v8';

const flags = [
  // The checks that metering puts into loops are rarely taken; without this V8 13.6
  // ignores the hints that say so (docs/fuel.md has the figures).
  '--experimental-wasm-branch-hinting',
  // V8 13.6 was seen to end the process while it freed replaced code of a module
  // that several threads share ("Check failed: jit_page_->allocations_.erase").
  // Code is freed with its module all the same.
  '--no-wasm-code-gc',
] as const;

let areSet = false;

/** To be called before the first module of a guest is compiled; calls after the first do nothing. */
export function setV8Flags(): void {
  if (areSet) return;
  areSet = true;
  for (const flag of flags) setFlagsFromString(flag);
}
