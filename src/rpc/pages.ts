/**
 * Pages of lists: their size, their tokens, and their bound in bytes. A token is
 * opaque to callers; it carries the cursor and is tied to the query that it
 * continues.
 */

import { createHash } from 'node:crypto';
import type { Violations } from './violations.ts';

const pageSizeDefault = 100;
const pageSizeMax = 1_000;
const tokenLengthMax = 1_024;
const checkBytes = 8;
/** Below what clients receive by default, 4 MiB. */
export const pageBytesMax = 3_145_728;

/** How many to answer with; 0 means the default. */
export function pageSizeOf(violations: Violations, pageSize: number): number {
  if (pageSize >= 0 && pageSize <= pageSizeMax) return pageSize === 0 ? pageSizeDefault : pageSize;
  violations.add('page_size', `must be from 1 to ${pageSizeMax}, or 0 for ${pageSizeDefault}, but is ${pageSize}`);
  return pageSizeDefault;
}

/** `query` is whatever must stay the same from page to page. */
export function pageToken(query: string, cursor: string): string {
  return Buffer.concat([checkOf(query, cursor), Buffer.from(cursor)]).toString('base64url');
}

/** The cursor of a token; undefined for the first page. Damaged tokens, and those of another query, are violations. */
export function cursorOf(violations: Violations, query: string, token: string): string | undefined {
  if (token === '') return undefined;
  const cursor = readToken(query, token);
  if (cursor === undefined) violations.add('page_token', 'must be next_page_token of the same query, unchanged');
  return cursor;
}

function readToken(query: string, token: string): string | undefined {
  if (token.length > tokenLengthMax) return undefined;
  const bytes = Buffer.from(token, 'base64url');
  const cursor = bytes.toString('utf8', checkBytes);
  return bytes.length > checkBytes && pageToken(query, cursor) === token ? cursor : undefined;
}

function checkOf(query: string, cursor: string): Buffer {
  return createHash('sha256').update(`${query}\n${cursor}`).digest().subarray(0, checkBytes);
}

/** The longest run of items from the front, at least one, that fits a page in bytes. */
export function fittingItems<Item>(items: readonly Item[], bytesOf: (item: Item) => number): readonly Item[] {
  let bytes = 0;
  const end = items.findIndex((item) => {
    bytes += bytesOf(item);
    return bytes > pageBytesMax;
  });
  return end < 0 ? items : items.slice(0, Math.max(1, end));
}
