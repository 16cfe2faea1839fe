/** Plugins, uploads and data directories for the tests of the registry. */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { digestOf } from '../../../src/base/digest.ts';
import { silentLog } from '../../../src/model/log.ts';
import type { Manifest } from '../../../src/model/manifest.ts';
import { readManifest } from '../../../src/plugins/manifest-schema.ts';
import { PluginRegistry, type PluginRegistryOptions, type Published } from '../../../src/plugins/registry.ts';
import type { PluginUploadHeader } from '../../../src/plugins/upload.ts';
import { wat } from '../../helpers/wat.ts';
import { FakeCompiler, ManualClock } from './fakes.ts';

/** A module with one executable function; each `seed` gives other bytes. */
export function moduleOf(seed = 0): Uint8Array<ArrayBuffer> {
  return wat(`(module (memory 1) (func (export "run") (result i32) (i32.const ${seed})))`);
}

export function manifestOf(fields: object = {}): string {
  return JSON.stringify({ name: 'echo', version: '1.0.0', ...fields });
}

/** A manifest in its checked form. */
export function checkedManifest(fields: object): Manifest {
  const { manifest, violations } = readManifest(manifestOf(fields));
  if (!manifest) throw new Error(JSON.stringify(violations));
  return manifest;
}

export function headerOf(manifestText: string, bytes: Uint8Array): PluginUploadHeader {
  return { manifestText, sha256: digestOf(bytes), sizeBytes: bytes.length };
}

export async function* chunksOf(bytes: Uint8Array, chunkBytes = 65_536): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += chunkBytes) yield bytes.subarray(at, at + chunkBytes);
}

/** Publishes a module under a manifest. */
export async function publish(
  registry: PluginRegistry,
  fields: object = {},
  bytes: Uint8Array = moduleOf(),
  signal: AbortSignal = new AbortController().signal,
): Promise<Published> {
  const manifestText = manifestOf(fields);
  return await registry.publish(headerOf(manifestText, bytes), chunksOf(bytes), signal);
}

/** A data directory that is removed at the end. */
export async function dataDirectory(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'caisson-plugins-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/** A registry on a data directory, with fakes for what is not given. Nothing is warmed up unless asked for. */
export async function openRegistry(
  path: string,
  options: Partial<PluginRegistryOptions> = {},
): Promise<PluginRegistry> {
  return await PluginRegistry.open({
    dataDirectory: path,
    compiler: new FakeCompiler(),
    clock: new ManualClock(),
    log: silentLog,
    ...options,
    bounds: { warmUpMax: 0, ...options.bounds },
  });
}
