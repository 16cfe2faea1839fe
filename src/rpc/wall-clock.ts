/**
 * The time as grpc-js reckons deadlines: the system's wall clock. A Clock may
 * differ from it by however far the system's time was set since the start.
 */

/** Milliseconds since 1970. */
export function wallClockMs(): number {
  return new Date().getTime();
}
