/**
 * Gives back the memory of guests that have ended. V8 collects it when its own
 * heap calls for it, and an instance is small there however much memory its guest
 * has: a thread that then idles could keep hundreds of megabytes for hours.
 */

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

const mebi = 1_048_576;
/** Instances smaller than this are left to V8: collecting takes milliseconds. */
const largeBytesMin = 8 * mebi;
/** Memory of large instances that may wait for collection. */
const waitingBytesMax = 32 * mebi;

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

let waitingBytes = 0;

/** Whether an instance of so many bytes is to be counted. */
export function isMuchGarbage(instanceBytes: number): boolean {
  return instanceBytes >= largeBytesMin;
}

/** To be called when such an instance is done with and the caller has its answer. */
export function countGarbage(instanceBytes: number): void {
  waitingBytes += instanceBytes;
  if (waitingBytes <= waitingBytesMax) return;
  waitingBytes = 0;
  collect();
}
