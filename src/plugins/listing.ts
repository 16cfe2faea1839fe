/** Pages of versions: what stands on one, and where the next begins. */

import { ExecError } from '../model/exec-error.ts';
import { type PluginVersion, referenceOf } from '../model/plugin.ts';
import { nameAndVersion } from './references.ts';
import type { Position, VersionIndex } from './version-index.ts';

export interface PluginQuery {
  /** Only versions of this plugin. */
  readonly name?: string;
  /** Only what follows this version, "name@version", in the list. */
  readonly after?: string;
  readonly limit: number;
}

export interface PluginPage {
  readonly versions: readonly PluginVersion[];
  /** `after` of the next page; absent if this is the last. */
  readonly next?: string;
}

/** One page, by name and then newest first; throws REQUEST_INVALID if `after` is no version. */
export function listVersions(index: VersionIndex, query: PluginQuery): PluginPage {
  const versions: PluginVersion[] = [];
  const after = query.after === undefined ? undefined : positionOf(query.after);
  for (const { version } of index.inOrder({ name: query.name, after })) {
    const last = versions.at(-1);
    if (versions.length >= query.limit) return { versions, ...(last && { next: referenceOf(last) }) };
    versions.push(version);
  }
  return { versions };
}

function positionOf(after: string): Position {
  const position = nameAndVersion(after);
  if (position) return position;
  const description = 'must be the token of the page before this one';
  const violations = [{ field: 'page_token', description }];
  throw new ExecError('REQUEST_INVALID', `page_token: ${description}`, { violations });
}
