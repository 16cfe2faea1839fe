/** Recognises V8's error for calls that nest too deeply, which it throws in host functions as in guests. */

export function isStackOverflow(thrown: unknown): thrown is RangeError {
  return thrown instanceof RangeError && thrown.message === 'Maximum call stack size exceeded';
}
