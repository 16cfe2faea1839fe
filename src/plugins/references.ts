/** How callers name versions: "name", "name@version" or "sha256:…". Form only; what exists is the index's business. */

import { type Digest, isDigest } from '../base/digest.ts';
import { boundedText, singleLine } from '../base/text.ts';
import { ExecError } from '../model/exec-error.ts';
import { nameRefusal, versionRefusal } from './manifest-schema.ts';

export type Reference =
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'version'; readonly name: string; readonly version: string }
  | { readonly kind: 'digest'; readonly digest: Digest };

const shownBytesMax = 200;

/** A caller's text made fit for a message. */
export function shownReference(text: string): string {
  return singleLine(boundedText(text, shownBytesMax));
}

/** Reads a reference; throws REQUEST_INVALID saying which part of it is wrong. */
export function parseReference(text: string): Reference {
  if (text === '') throw malformed('is required: "name", "name@version" or "sha256:" and 64 hex digits');
  if (text.startsWith('sha256:')) return parseDigest(text);
  const at = text.indexOf('@');
  const name = at < 0 ? text : text.slice(0, at);
  const badName = nameRefusal(name);
  if (badName !== undefined) throw malformed(`names the plugin "${shownReference(name)}", which ${badName}`);
  if (at < 0) return { kind: 'name', name };
  const version = text.slice(at + 1);
  const badVersion = versionRefusal(version);
  if (badVersion !== undefined) throw malformed(`names the version "${shownReference(version)}", which ${badVersion}`);
  return { kind: 'version', name, version };
}

/** Name and version of a text in the form "name@version"; undefined for any other. */
export function nameAndVersion(text: string): { readonly name: string; readonly version: string } | undefined {
  const at = text.indexOf('@');
  const [name, version] = [text.slice(0, Math.max(at, 0)), text.slice(at + 1)];
  return nameRefusal(name) === undefined && versionRefusal(version) === undefined ? { name, version } : undefined;
}

function parseDigest(text: string): Reference {
  const digest = text.toLowerCase();
  if (!isDigest(digest)) throw malformed(`must have 64 hex digits after "sha256:", but is "${shownReference(text)}"`);
  return { kind: 'digest', digest };
}

function malformed(description: string): ExecError {
  return new ExecError('REQUEST_INVALID', `plugin: ${description}`, { violations: [{ field: 'plugin', description }] });
}
