/** Fails the calling execution, not the server, when the programmer was wrong. */
export function assert(condition: unknown, text: string): asserts condition {
  if (!condition) throw new Error(`Assertion failed: ${text}`);
}
