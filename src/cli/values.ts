/**
 * Values as people write them on a command line: sizes, durations, addresses,
 * pairs. Each function reads one form and throws InvalidArgumentError, which
 * commander turns into a usage error.
 */

import { InvalidArgumentError } from 'commander';
import { tenantRefusal } from '../model/tenant.ts';

const sizeUnits: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  kb: 1_000,
  mb: 1_000_000,
  gb: 1_000_000_000,
  kib: 1_024,
  mib: 1_048_576,
  gib: 1_073_741_824,
};

/** Bytes: "64MiB", "1.5 MB", "4096". */
export function parseSize(text: string): number {
  const [, digits = '', unit = ''] = /^(\d+(?:\.\d+)?) ?([a-z]*)$/i.exec(text) ?? [];
  const bytesPerUnit = sizeUnits[unit.toLowerCase()];
  if (digits === '' || bytesPerUnit === undefined) {
    throw new InvalidArgumentError('Expected a size such as "64MiB", "1.5MB" or "4096".');
  }
  return wholeWithin(Number(digits) * bytesPerUnit, 'size');
}

const durationUnits: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, min: 60_000, h: 3_600_000 };

/** Milliseconds: "10s", "250ms", "1.5m", "2h". A bare number is refused: it could be seconds or milliseconds. */
export function parseDuration(text: string): number {
  const [, digits = '', unit = ''] = /^(\d+(?:\.\d+)?) ?([a-z]+)$/i.exec(text) ?? [];
  const msPerUnit = durationUnits[unit.toLowerCase()];
  if (digits === '' || msPerUnit === undefined) {
    throw new InvalidArgumentError('Expected a duration with its unit, such as "10s", "250ms" or "2m".');
  }
  return wholeWithin(Number(digits) * msPerUnit, 'duration');
}

function wholeWithin(value: number, what: string): number {
  const whole = Math.round(value);
  if (!Number.isSafeInteger(whole)) throw new InvalidArgumentError(`This ${what} is too great.`);
  return whole;
}

/** A reader of whole numbers from `min` to `max`. */
export function wholeNumber(min: number, max: number = Number.MAX_SAFE_INTEGER): (text: string) => number {
  return (text) => {
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    if (value >= min && value <= max) return value;
    const range = max === Number.MAX_SAFE_INTEGER ? `of at least ${min}` : `from ${min} to ${max}`;
    throw new InvalidArgumentError(`Expected a whole number ${range}.`);
  };
}

/** Adds one "key=value" to those before it. The value may hold "=" and may be empty. */
export function collectPair(
  text: string,
  before: ReadonlyMap<string, string> = new Map(),
): ReadonlyMap<string, string> {
  const at = text.indexOf('=');
  if (at < 1) throw new InvalidArgumentError('Expected key=value.');
  const key = text.slice(0, at);
  if (before.has(key)) throw new InvalidArgumentError(`The key "${key}" is given twice.`);
  return new Map([...before, [key, text.slice(at + 1)]]);
}

/** Bytes: "0x" and an even number of hex digits, or any other text as UTF-8. */
export function parseSeed(text: string): Uint8Array {
  const isHex = /^0x(?:[0-9a-f]{2})+$/i.test(text);
  return isHex ? Uint8Array.from(Buffer.from(text.slice(2), 'hex')) : new TextEncoder().encode(text);
}

/** The name of a tenant. */
export function parseTenant(text: string): string {
  const refusal = tenantRefusal(text);
  if (refusal !== undefined) throw new InvalidArgumentError(`A tenant ${refusal}.`);
  return text;
}

/** Where a listener binds. */
export interface HostPort {
  readonly host: string;
  readonly port: number;
}

/** "127.0.0.1:50051", "[::1]:50051", "localhost:0". */
export function parseHostPort(text: string): HostPort {
  const [, bracketed, plain, digits] = /^(?:\[([0-9a-f:.]+)\]|([^[\]:/\s]+)):(\d{1,5})$/i.exec(text) ?? [];
  const host = bracketed ?? plain;
  const port = Number(digits);
  if (host === undefined || !(port <= 65_535)) {
    throw new InvalidArgumentError('Expected host:port, such as "127.0.0.1:50051" or "[::1]:50051".');
  }
  return { host, port };
}

/** As parseHostPort, or "off" for no such listener. Not undefined: commander would make an empty text of that. */
export function parseListener(text: string): HostPort | 'off' {
  return text === 'off' ? 'off' : parseHostPort(text);
}

/** Checks the form of a server's address: host:port, or unix: and a path. */
export function parseAddress(text: string): string {
  if (/^unix:.+$/.test(text)) return text;
  try {
    parseHostPort(text);
    return text;
  } catch {
    throw new InvalidArgumentError('Expected host:port or unix:/path/of/socket.');
  }
}

/** "host:port", with brackets around an IPv6 address. */
export function hostPortText({ host, port }: HostPort): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
