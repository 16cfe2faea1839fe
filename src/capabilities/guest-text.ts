/** Text out of a guest's blocks. */

import { boundedText } from '../base/text.ts';

const lenient = new TextDecoder('utf-8', { ignoreBOM: true });
const strict = new TextDecoder('utf-8', { ignoreBOM: true, fatal: true });

/** Text of at most `bytesMax` bytes, well-formed whatever the bytes are; cut with an ellipsis if there is more. */
export function shownText(bytes: Uint8Array, bytesMax: number): string {
  // One byte beyond the bound is enough to see that the text is longer.
  return boundedText(lenient.decode(bytes.subarray(0, bytesMax + 1)), bytesMax);
}

/** The text, or undefined if the bytes are not UTF-8. */
export function exactText(bytes: Uint8Array): string | undefined {
  try {
    return strict.decode(bytes);
  } catch {
    return undefined;
  }
}
