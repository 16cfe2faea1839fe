/** Finds the version that a reference means, or says precisely why there is none or why it cannot be used. Changes nothing. */

import { suggestion } from '../base/near-names.ts';
import { ExecError } from '../model/exec-error.ts';
import { type PluginVersion, referenceOf } from '../model/plugin.ts';
import { parseReference, type Reference, shownReference } from './references.ts';
import type { Entry, VersionIndex } from './version-index.ts';

const listedMax = 5;

/** The version that any form of reference means. */
export function findVersion(index: VersionIndex, text: string): Entry {
  const reference = parseReference(text);
  if (reference.kind === 'name') return index.latest(reference.name) ?? fail(noPlugin(index, reference.name));
  return findOne(index, reference);
}

/** The version that a reference means that must name one version: "name@version" or a digest. */
export function findExactVersion(index: VersionIndex, text: string): Entry {
  const reference = parseReference(text);
  if (reference.kind !== 'name') return findOne(index, reference);
  const newest = index.latest(reference.name) ?? fail(noPlugin(index, reference.name));
  const description = `must name one version, such as "${referenceOf(newest.version)}", but is "${reference.name}"`;
  throw new ExecError('REQUEST_INVALID', `plugin: ${description}`, { violations: [{ field: 'plugin', description }] });
}

/** Why executions cannot use a version that does not accept them. */
export function refusalToExecute(version: PluginVersion): ExecError {
  const what = `"${referenceOf(version)}"`;
  switch (version.state) {
    case 'retired':
      return new ExecError('PLUGIN_RETIRED', `${what} is retired: name another version`);
    case 'failed':
      return new ExecError('PLUGIN_FAILED', `${what} failed: ${version.failure}`);
    case 'stopped':
    case 'stopping':
      return new ExecError('PLUGIN_NOT_RUNNING', `${what} is ${version.state}: start it, or name another version`);
    default:
      return new ExecError(
        'PLUGIN_NOT_RUNNING',
        `${what} is not running yet, but ${version.state}: wait until it runs, or name another version`,
      );
  }
}

function findOne(index: VersionIndex, reference: Exclude<Reference, { kind: 'name' }>): Entry {
  if (reference.kind === 'version') {
    return index.find(reference.name, reference.version) ?? fail(noVersion(index, reference.name, reference.version));
  }
  const [entry, ...others] = index.ofDigest(reference.digest);
  if (!entry) throw new ExecError('PLUGIN_NOT_FOUND', `No version has the digest "${reference.digest}"`);
  if (others.length === 0) return entry;
  const names = listed([entry, ...others].map(({ version }) => referenceOf(version)));
  throw new ExecError(
    'PLUGIN_AMBIGUOUS',
    `${others.length + 1} versions have the digest "${reference.digest}": name one of ${names}`,
  );
}

function noPlugin(index: VersionIndex, name: string): ExecError {
  return new ExecError('PLUGIN_NOT_FOUND', `No plugin has the name "${name}"${suggestion(name, index.names)}`);
}

function noVersion(index: VersionIndex, name: string, version: string): ExecError {
  const versions = index.ofName(name).map((entry) => entry.version.manifest.version);
  if (versions.length === 0) return noPlugin(index, name);
  return new ExecError(
    'PLUGIN_VERSION_NOT_FOUND',
    `The plugin "${name}" has no version "${shownReference(version)}"; it has ${listed(versions)}`,
  );
}

function listed(items: readonly string[]): string {
  const shown = items.slice(0, listedMax).map((item) => `"${item}"`);
  const more = items.length - shown.length;
  return `${shown.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

function fail(error: ExecError): never {
  throw error;
}
