/**
 * Fields made fit for a log line: secrets masked by their names, errors spelled
 * out with their causes, everything bounded in depth, width and length.
 */

import { boundedText } from '../base/text.ts';

const mask = '[redacted]';
const depthMax = 6;
const entriesMax = 64;
const textBytesMax = 8_192;

/** Names of fields whose values nobody should read in a log. */
const secretName = /authorization|cookie|credential|passw(?:or)?d|passphrase|secret|token|api[-_]?key|private[-_]?key/i;

/** A copy of the fields; the fields are left as they are. */
export function loggable(fields: object): Record<string, unknown> {
  return loggableEntries(fields, depthMax);
}

function loggableEntries(fields: object, depth: number): Record<string, unknown> {
  const entries = Object.entries(fields).slice(0, entriesMax);
  return Object.fromEntries(
    entries.map(([name, value]) => [name, secretName.test(name) ? mask : loggableValue(value, depth - 1)]),
  );
}

function loggableValue(value: unknown, depth: number): unknown {
  if (typeof value === 'string') return boundedText(value, textBytesMax);
  if (typeof value === 'bigint') return String(value);
  if (typeof value !== 'object' || value === null) return value;
  if (depth < 0) return '[too deep]';
  if (value instanceof Error) return loggableError(value, depth);
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
  if (Array.isArray(value)) return value.slice(0, entriesMax).map((item) => loggableValue(item, depth - 1));
  if (value instanceof Map) return loggableEntries(Object.fromEntries(value), depth);
  return loggableEntries(value, depth);
}

/** Own fields come too, such as a reason or a system error's code. */
function loggableError(error: Error, depth: number): Record<string, unknown> {
  return {
    name: error.name,
    message: boundedText(error.message, textBytesMax),
    ...loggableEntries(error, depth),
    stack: boundedText(error.stack ?? '', textBytesMax),
    ...loggableEntries(standBehind(error), depth),
  };
}

/** The errors behind an error, which are own fields but not enumerable: its cause, or those of an aggregate or a disposal. */
function standBehind(error: Error): object {
  const fields = error as unknown as Readonly<Record<string, unknown>>;
  const names = ['cause', 'errors', 'error', 'suppressed'].filter((name) => fields[name] !== undefined);
  return Object.fromEntries(names.map((name) => [name, fields[name]]));
}
