/**
 * What the command's exit code says. Outcomes of a guest are 0 and 10 to 17,
 * refusals of the platform 20 to 29, so that a script can tell them apart.
 */

import { Outcome } from '../gen/caisson/v1/execution_pb.ts';

export const exitCodes = {
  ok: 0,
  failure: 1,
  usage: 2,
  interrupted: 130,
  brokenPipe: 141,
} as const;

const outcomeCodes: Readonly<Record<Exclude<keyof typeof Outcome, 'UNSPECIFIED'>, number>> = {
  OK: 0,
  PLUGIN_ERROR: 10,
  TRAP: 11,
  FUEL_EXHAUSTED: 12,
  MEMORY_EXHAUSTED: 13,
  TIMED_OUT: 14,
  CANCELED: 15,
  OUTPUT_TOO_LARGE: 16,
  DENIED: 17,
};

/** By name of the gRPC status code; whatever is not here is `otherRefusal`. */
const refusalCodes: Readonly<Record<string, number>> = {
  INVALID_ARGUMENT: 20,
  OUT_OF_RANGE: 20,
  NOT_FOUND: 21,
  ALREADY_EXISTS: 22,
  FAILED_PRECONDITION: 23,
  RESOURCE_EXHAUSTED: 24,
  UNAVAILABLE: 25,
  DEADLINE_EXCEEDED: 26,
  PERMISSION_DENIED: 27,
  UNAUTHENTICATED: 27,
  CANCELLED: 28,
};

const otherRefusal = 29;

/** Exit code of an ended execution; an outcome that this client does not know is a failure. */
export function exitCodeOfOutcome(outcome: Outcome): number {
  const name = outcomeName(outcome);
  return name === undefined ? exitCodes.failure : outcomeCodes[name];
}

/** Name of an outcome without its prefix; undefined if this client does not know it. */
export function outcomeName(outcome: Outcome): keyof typeof outcomeCodes | undefined {
  const names = Object.keys(outcomeCodes) as (keyof typeof outcomeCodes)[];
  return names.find((name) => Outcome[name] === outcome);
}

/** Exit code for what the platform refused, by name of its gRPC status code. */
export function exitCodeOfRefusal(statusCode: string): number {
  return refusalCodes[statusCode] ?? otherRefusal;
}

/** The table for help texts. */
export const exitCodeHelp = `
Exit codes:
  0   OK                    20  refused: invalid argument
  1   failure               21  refused: not found
  2   usage error           22  refused: exists already
  10  PLUGIN_ERROR          23  refused: state does not allow it
  11  TRAP                  24  refused: too much at once
  12  FUEL_EXHAUSTED        25  server not available
  13  MEMORY_EXHAUSTED      26  deadline passed
  14  TIMED_OUT             27  not permitted
  15  CANCELED              28  canceled
  16  OUTPUT_TOO_LARGE      29  other refusal or fault of the server
  17  DENIED
  130 interrupted twice     141 the reader of stdout went away`;
