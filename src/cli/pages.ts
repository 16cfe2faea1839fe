/** Lists that a server answers in pages, collected up to a limit. */

import { Option } from 'commander';
import { wholeNumber } from './values.ts';

const limitDefault = 100;
const limitMax = 100_000;
const pageSizeMax = 1_000;

/** The option --limit. */
export function pageLimitOption(): Option {
  return new Option('--limit <count>', 'most entries to list')
    .argParser(wholeNumber(1, limitMax))
    .default(limitDefault);
}

export interface Page<Item> {
  readonly items: readonly Item[];
  /** Empty after the last page. */
  readonly nextPageToken: string;
}

/** At most `limit` items, page by page. */
export async function collectPages<Item>(
  limit: number,
  fetchPage: (pageSize: number, pageToken: string) => Promise<Page<Item>>,
): Promise<readonly Item[]> {
  const items: Item[] = [];
  let pageToken = '';
  do {
    const page = await fetchPage(Math.min(limit - items.length, pageSizeMax), pageToken);
    items.push(...page.items);
    pageToken = page.nextPageToken;
  } while (pageToken !== '' && items.length < limit);
  return items.slice(0, limit);
}
