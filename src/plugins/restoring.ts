/** Between versions in memory and their records on disk: what of a version outlives the server, and as what it comes back. */

import { boundedText } from '../base/text.ts';
import { type Manifest, warmDefault } from '../model/manifest.ts';
import type { PluginVersion } from '../model/plugin.ts';
import type { FoundRecord } from './files.ts';
import { type ManifestReading, readManifest } from './manifest-schema.ts';
import type { StoredVersion } from './record.ts';
import type { Entry, StoredState } from './version-index.ts';

const failureBytesMax = 1_024;

/** The record of a version that is to be found in `state` after a restart. */
export function storedOf(version: PluginVersion, state: StoredState): StoredVersion {
  const { manifestText, digest, sizeBytes, functions, otherFunctions, createdMs, updatedMs } = version;
  const failure = state === 'failed' ? boundedText(version.failure, failureBytesMax) : '';
  return { manifestText, digest, sizeBytes, functions, otherFunctions, state, failure, createdMs, updatedMs };
}

/**
 * The entry of a record. A version that ran is unloaded. One whose manifest is
 * not acceptable any more, after the server was changed, comes back as failed
 * instead of not at all.
 */
export function entryOf(found: FoundRecord): Entry {
  const { state, manifestText, digest, sizeBytes, functions, otherFunctions, failure, createdMs, updatedMs } =
    found.stored;
  const reading = readManifest(manifestText);
  const refusal = manifestRefusal(found, reading);
  const facts = { manifestText, digest, sizeBytes, functions, otherFunctions, createdMs, updatedMs };
  const entry = { stored: state, validated: false, loading: undefined };
  if (reading.manifest === undefined || refusal !== undefined) {
    const kept =
      state === 'retired' ? ({ state, failure: '' } as const) : ({ state: 'failed', failure: refusal ?? '' } as const);
    return { ...entry, version: { ...facts, ...kept, manifest: bareManifest(found) }, accepting: false };
  }
  const version: PluginVersion = {
    ...facts,
    manifest: reading.manifest,
    failure,
    state: state === 'running' ? 'unloaded' : state,
  };
  return { ...entry, version, accepting: state === 'running' };
}

function manifestRefusal(
  { name, version }: FoundRecord,
  { manifest, violations }: ManifestReading,
): string | undefined {
  const [first] = violations;
  if (first) return `The stored manifest is not accepted any more: ${first.field}: ${first.description}`;
  if (manifest?.name === name && manifest.version === version) return undefined;
  return `The stored manifest is that of "${manifest?.name}@${manifest?.version}"`;
}

function bareManifest({ name, version }: FoundRecord): Manifest {
  return {
    name,
    version,
    description: '',
    functions: undefined,
    capabilities: [],
    config: {},
    limits: {},
    instance: { mode: 'fresh', warm: warmDefault },
    allowedHosts: [],
    secrets: [],
    invoke: [],
    mounts: {},
  };
}
