/** What the functions of paths need of an open directory, whatever it shows. */

import type { Fd } from '@bjorn3/browser_wasi_shim';
import type { Listed } from './records.ts';

/**
 * An open directory. Its methods are the library's; paths are plain ones of
 * paths.ts, and a method may refuse by throwing instead of answering an errno.
 */
export interface Folder extends Fd {
  /** Everything in it, "." and ".." first. */
  list(): readonly Listed[];
}

export function isFolder(handle: Fd): handle is Folder {
  return 'list' in handle;
}
