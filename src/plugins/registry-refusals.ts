/** What the registry says when it refuses: a version that is taken, in the wrong state, or gone. */

import { ExecError } from '../model/exec-error.ts';
import { type PluginVersion, referenceOf } from '../model/plugin.ts';
import type { Upload } from './upload.ts';

/** The version that is there, if the upload is the very same; throws PLUGIN_EXISTS if it differs. */
export function sameOrRefused(existing: PluginVersion, upload: Upload): PluginVersion {
  const sameModule = existing.digest === upload.digest;
  if (sameModule && existing.manifestText === upload.manifestText) return existing;
  const other = sameModule ? 'another manifest' : `the module "${existing.digest}"`;
  const message = `"${referenceOf(existing)}" is there already, with ${other}: publish under a new version`;
  throw new ExecError('PLUGIN_EXISTS', message);
}

/** That what was asked for cannot be done in the version's state; `allowed` says when it can. */
export function stateRefusal(version: PluginVersion, what: string, allowed: string): ExecError {
  const { state } = version;
  const message = `"${referenceOf(version)}" cannot be ${what} while it is ${state}: ${allowed}`;
  return new ExecError('PLUGIN_STATE', message, { metadata: { state } });
}

/** That the version was deleted after it was found. */
export function deletedMeanwhile(version: PluginVersion): ExecError {
  return new ExecError('PLUGIN_VERSION_NOT_FOUND', `"${referenceOf(version)}" has been deleted`);
}
