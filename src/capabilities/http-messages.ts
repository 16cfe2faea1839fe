/**
 * What the two halves of the capability "http" say to each other: the guest's
 * request, checked for form, and the answer. Whether a request is allowed is not
 * known here.
 */

import { isObject } from '../base/strict-json.ts';
import { singleLine } from '../base/text.ts';
import { exactText } from './guest-text.ts';
import { joinParts, splitParts } from './parts.ts';

export const httpRequestLimits = {
  /** Bytes of the JSON text that describes a request. */
  textBytes: 65_536,
  headers: 64,
  /** Bytes of all names and values of headers together. */
  headerBytes: 16_384,
  methodLength: 32,
} as const;

/** A request without its body. */
export interface HttpRequest {
  readonly url: string;
  /** Upper case. */
  readonly method: string;
  /** Names are in lower case, each there once. */
  readonly headers: ReadonlyMap<string, string>;
}

/** Codes of the operation "http.request". */
export const httpCodes = {
  answered: 0,
  /** There is no answer; the payload is text that says why. */
  failed: 1,
} as const;

export interface HttpAnswer {
  readonly status: number;
  /** JSON object: value by lower-case name. */
  readonly headers: Uint8Array;
  readonly body: Uint8Array;
}

const token = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const fieldValue = /^[\t\x20-\x7e]*$/;
const statusBytes = 2;

/** The request that the bytes of a JSON text describe, or what is wrong with them. */
export function readHttpRequest(bytes: Uint8Array): HttpRequest | string {
  if (bytes.length > httpRequestLimits.textBytes) {
    return `The request has ${bytes.length} bytes of JSON, more than ${httpRequestLimits.textBytes}`;
  }
  const text = exactText(bytes);
  if (text === undefined) return 'The request is not UTF-8 text';
  const fields = parsed(text);
  if (!isObject(fields)) return 'The request is not a JSON object such as {"url": "https://example.com/"}';
  const { url, method = null, headers = null, header = null } = fields;
  if (typeof url !== 'string') return 'The request has no "url" that is text';
  if (method !== null && (typeof method !== 'string' || !isMethod(method))) {
    return `The request has a "method" that is not a token of at most ${httpRequestLimits.methodLength} characters`;
  }
  if (headers !== null && header !== null) return 'The request has both "headers" and "header"';
  const read = readHeaders(headers ?? header ?? {});
  if (typeof read === 'string') return read;
  return { url, method: (method ?? 'GET').toUpperCase(), headers: read };
}

function isMethod(text: string): boolean {
  return text.length <= httpRequestLimits.methodLength && token.test(text);
}

function readHeaders(value: unknown): ReadonlyMap<string, string> | string {
  if (!isObject(value)) return 'The request has "headers" that are not a JSON object of texts';
  const entries = Object.entries(value);
  if (entries.length > httpRequestLimits.headers) {
    return `The request has ${entries.length} headers, more than ${httpRequestLimits.headers}`;
  }
  const headers = new Map<string, string>();
  let bytes = 0;
  for (const [name, content] of entries) {
    const refusal = headerRefusal(name, content, headers);
    if (refusal !== undefined) return `The request has a header ${quoted(name)} ${refusal}`;
    const trimmed = (content as string).replace(/^[\t ]+|[\t ]+$/g, '');
    headers.set(name.toLowerCase(), trimmed);
    bytes += name.length + trimmed.length;
  }
  if (bytes <= httpRequestLimits.headerBytes) return headers;
  return `The request has ${bytes} bytes of headers, more than ${httpRequestLimits.headerBytes}`;
}

function headerRefusal(name: string, content: unknown, before: ReadonlyMap<string, string>): string | undefined {
  if (!token.test(name)) return 'whose name is not a token';
  if (typeof content !== 'string') return 'whose value is not text';
  if (!fieldValue.test(content)) return 'whose value holds other characters than visible ASCII, spaces and tabs';
  if (before.has(name.toLowerCase())) return 'twice, in different spellings';
  return undefined;
}

/** A name for a message: cut, so that the rest of the message stays readable. */
function quoted(name: string): string {
  return `"${singleLine(name.slice(0, 64).toWellFormed())}"`;
}

/** The JSON text of a request: what readHttpRequest reads. */
export function httpRequestText({ url, method, headers }: HttpRequest): string {
  return JSON.stringify({ url, method, headers: Object.fromEntries(headers) });
}

/** The payload of the operation's answer. */
export function joinHttpAnswer({ status, headers, body }: HttpAnswer): Uint8Array<ArrayBuffer> {
  return joinParts(new Uint8Array([status & 0xff, status >> 8]), headers, body);
}

/** The answer out of a payload. Throws a RangeError if it is none: both sides are the host's. */
export function splitHttpAnswer(payload: Uint8Array): HttpAnswer {
  const [status, headers, body] = splitParts(payload);
  if (status?.length !== statusBytes || headers === undefined || body === undefined) {
    throw new RangeError('The payload is not an answer of http');
  }
  return { status: (status[0] ?? 0) | ((status[1] ?? 0) << 8), headers, body };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
