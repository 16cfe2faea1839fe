/** How much kernel memory a run may have. */

import { fixedLimits, type RunLimits } from '../../model/limits.ts';

/** Input and output each fit beside whatever else a guest needs. */
export function kernelBytesMax({ inputBytes, outputBytes }: Pick<RunLimits, 'inputBytes' | 'outputBytes'>): number {
  return inputBytes + outputBytes + fixedLimits.kernelScratchBytes;
}
