/**
 * Settings of V8 on which the sandbox depends. They hold for the whole process,
 * for modules compiled after they were set.
 */

import { setFlagsFromString } from 'node:v8';

/**
 * V8's baseline code looks whether its thread shall end only when a loop has used
 * up a budget, about as many bytes of machine code as this. With V8's default of
 * 13 million, a loop that fills memory 64 MiB at a time could go on for minutes
 * after its thread was ended; with this one it stops within a second. Functions
 * are optimized earlier for it: programs that run for seconds took about a quarter
 * more processor time, small ones half as much again, all of it in compiling.
 */
const wasmTieringBudget = 50_000;

let isSet = false;

/** To be called before the first module of a guest is compiled; calls after the first do nothing. */
export function setV8Flags(): void {
  if (isSet) return;
  isSet = true;
  setFlagsFromString(`--wasm-tiering-budget=${wasmTieringBudget}`);
}
