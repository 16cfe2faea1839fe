/**
 * Paths as guests write them, made plain: relative to a directory, without "." and
 * "..", and never out of it. There are no symbolic links in what guests can make,
 * so ".." needs no look at the files.
 */

import { wasi } from '@bjorn3/browser_wasi_shim';
import { exactText } from '../guest-text.ts';
import { refuse } from './refusal.ts';

export const pathBytesMax = 4_096;
export const pathDepthMax = 64;
export const nameBytesMax = 255;

/** "a/b", "." for the directory itself, and a slash at the end of what must be a directory. */
export function plainPath(bytes: Uint8Array): string {
  if (bytes.length > pathBytesMax) refuse(wasi.ERRNO_NAMETOOLONG);
  // A copy, as text is not decoded from memory that threads share.
  const text = exactText(bytes.slice()) ?? refuse(wasi.ERRNO_ILSEQ);
  if (text === '') refuse(wasi.ERRNO_NOENT);
  if (text.includes('\0')) refuse(wasi.ERRNO_INVAL);
  if (text.startsWith('/')) refuse(wasi.ERRNO_NOTCAPABLE);
  const names = plainNames(text);
  return (names.join('/') || '.') + (/(^|\/)\.{0,2}$/.test(text) ? '/' : '');
}

function plainNames(text: string): readonly string[] {
  const names: string[] = [];
  for (const name of text.split('/')) {
    if (name === '..' && names.pop() === undefined) refuse(wasi.ERRNO_NOTCAPABLE);
    if (name === '' || name === '.' || name === '..') continue;
    if (Buffer.byteLength(name) > nameBytesMax) refuse(wasi.ERRNO_NAMETOOLONG);
    names.push(name);
  }
  if (names.length > pathDepthMax) refuse(wasi.ERRNO_NAMETOOLONG);
  return names;
}

/** Whether a plain path can only be a directory. */
export function meansFolder(path: string): boolean {
  return path.endsWith('/');
}

/** A plain path without the slash that says that it is a directory. */
export function withoutSlash(path: string): string {
  return path.endsWith('/') ? path.slice(0, -1) : path;
}
