/** Messages of PluginService to and from the model. Requests are checked here for form, every field of them. */

import type { MessageInitShape } from '@bufbuild/protobuf';
import {
  type ListPluginsRequest,
  PluginEventType,
  type PluginHealthSchema,
  PluginHealthState,
  PluginState,
  type PluginVersionSchema,
  type ValidationReportSchema,
  type WarmPluginRequest,
  type WasmMemorySchema,
  type WasmTableSchema,
  type WatchPluginsRequest,
  type WatchPluginsResponseSchema,
} from '../gen/caisson/v1/plugin_pb.ts';
import type { HealthState, PluginHealth, PluginState as PluginStateName, PluginVersion } from '../model/plugin.ts';
import type { ReportedMemory, ReportedTable, ValidationReport } from '../plugins/report.ts';
import type { PluginChange } from '../plugins/watchers.ts';
import { cursorOf, pageSizeOf } from './pages.ts';
import { checkNameFilter, checkReference } from './references.ts';
import { Violations } from './violations.ts';
import { timestampOf } from './wire-time.ts';

/** The plugin that a request asks about. */
export function referenceOfRequest(request: { readonly plugin: string }): string {
  const violations = new Violations();
  checkReference(violations, request.plugin);
  violations.throwIfAny();
  return request.plugin;
}

/** The one version that a request would change: a bare name might mean another one tomorrow. */
export function versionOfRequest(request: { readonly plugin: string }): string {
  const violations = new Violations();
  checkReference(violations, request.plugin, ['version', 'digest']);
  violations.throwIfAny();
  return request.plugin;
}

/** As many as any server can have. */
const threadsMax = 1_024;

/** The one version to be warmed up, and on how many threads. */
export function warmingOf({ plugin, threads }: WarmPluginRequest): {
  readonly plugin: string;
  readonly threads: number;
} {
  const violations = new Violations();
  checkReference(violations, plugin, ['version', 'digest']);
  if (threads < 0 || threads > threadsMax) {
    violations.add('threads', `must be from 1 to ${threadsMax}, or 0 for all that there are, but is ${threads}`);
  }
  violations.throwIfAny();
  return { plugin, threads };
}

/** What the registry is asked for one page. */
export interface PluginQuery {
  /** What the page token is tied to. */
  readonly key: string;
  readonly name?: string;
  readonly after?: string;
  readonly limit: number;
}

/** Throws REQUEST_INVALID naming every wrong field. */
export function pluginQueryOf(request: ListPluginsRequest): PluginQuery {
  const violations = new Violations();
  const limit = pageSizeOf(violations, request.pageSize);
  checkNameFilter(violations, request.name);
  const key = `plugins ${request.name}`;
  const after = cursorOf(violations, key, request.pageToken);
  violations.throwIfAny();
  return { key, limit, ...nameFilter(request.name), ...(after !== undefined && { after }) };
}

/** Throws REQUEST_INVALID naming every wrong field. */
export function watchQueryOf(request: WatchPluginsRequest): { readonly name?: string } {
  const violations = new Violations();
  checkNameFilter(violations, request.name);
  violations.throwIfAny();
  return nameFilter(request.name);
}

function nameFilter(name: string): { readonly name?: string } {
  return name === '' ? {} : { name };
}

const states: Readonly<Record<PluginStateName, PluginState>> = {
  unloaded: PluginState.UNLOADED,
  loading: PluginState.LOADING,
  loaded: PluginState.LOADED,
  starting: PluginState.STARTING,
  running: PluginState.RUNNING,
  stopping: PluginState.STOPPING,
  stopped: PluginState.STOPPED,
  failed: PluginState.FAILED,
  retired: PluginState.RETIRED,
};

const healthStates: Readonly<Record<HealthState, PluginHealthState>> = {
  HEALTHY: PluginHealthState.HEALTHY,
  DEGRADED: PluginHealthState.DEGRADED,
  FAILED: PluginHealthState.FAILED,
};

function healthMessage({
  state,
  reasons,
  changedMs,
  checkedMs,
}: PluginHealth): MessageInitShape<typeof PluginHealthSchema> {
  return {
    state: healthStates[state],
    reasons: [...reasons],
    changeTime: timestampOf(changedMs),
    ...(checkedMs !== undefined && { checkTime: timestampOf(checkedMs) }),
  };
}

/** Lists and watches leave the manifest out; versions that do not run have no health. */
export function versionMessage(
  version: PluginVersion,
  health: PluginHealth | undefined,
  options: { readonly withManifest: boolean },
): MessageInitShape<typeof PluginVersionSchema> {
  const { manifest } = version;
  return {
    name: manifest.name,
    version: manifest.version,
    digest: version.digest,
    state: states[version.state],
    failure: version.failure.toWellFormed(),
    ...(options.withManifest && { manifest: version.manifestText }),
    functions: [...version.functions],
    capabilities: [...manifest.capabilities],
    sizeBytes: BigInt(version.sizeBytes),
    createTime: timestampOf(version.createdMs),
    updateTime: timestampOf(version.updatedMs),
    ...(health && { health: healthMessage(health) }),
  };
}

/** About how many bytes a version takes in a list. */
export function listedVersionBytes({ functions, failure }: PluginVersion): number {
  return functions.reduce(
    (bytes, name) => bytes + Buffer.byteLength(name) + fieldBytes,
    factsBytes + failure.length * 3,
  );
}

/** With room for the reasons of its health. */
const factsBytes = 1_536;
const fieldBytes = 4;

const changeTypes: Readonly<Record<PluginChange['type'], PluginEventType>> = {
  EXISTING: PluginEventType.EXISTING,
  SYNCED: PluginEventType.SYNCED,
  PUBLISHED: PluginEventType.PUBLISHED,
  STATE_CHANGED: PluginEventType.STATE_CHANGED,
  HEALTH_CHANGED: PluginEventType.HEALTH_CHANGED,
  DELETED: PluginEventType.DELETED,
};

/** SYNCED alone has no version. */
export function changeMessage(change: PluginChange): MessageInitShape<typeof WatchPluginsResponseSchema> {
  return {
    type: changeTypes[change.type],
    time: timestampOf(change.timeMs),
    ...(change.type !== 'SYNCED' && {
      plugin: versionMessage(change.version, change.health, { withManifest: false }),
    }),
  };
}

/** Sizes after clamping and rewriting are 0 where the module could not be rewritten. */
export function reportMessage(report: ValidationReport): MessageInitShape<typeof ValidationReportSchema> {
  const { sizes } = report;
  return {
    valid: report.valid,
    problems: [...report.problems],
    digest: report.digest,
    imports: report.imports.map((each) => ({ ...each, capability: each.capability ?? '' })),
    exports: [...report.exports],
    features: [...report.features],
    memories: report.memories.map(memoryMessage),
    tables: report.tables.map(tableMessage),
    sizes: {
      moduleBytes: BigInt(sizes.moduleBytes),
      codeBytes: BigInt(sizes.codeBytes),
      dataBytes: BigInt(sizes.dataBytes),
      customBytes: BigInt(sizes.customBytes),
      functions: sizes.functions,
      globals: sizes.globals,
      elementSegments: sizes.elementSegments,
      dataSegments: sizes.dataSegments,
      rewrittenBytes: BigInt(sizes.rewrittenBytes ?? 0),
    },
    functions: [...report.functions],
  };
}

function memoryMessage(memory: ReportedMemory): MessageInitShape<typeof WasmMemorySchema> {
  const { minPages, maxPages, clampedPages, is64, shared, imported } = memory;
  return {
    minPages: BigInt(minPages),
    ...(maxPages !== undefined && { maxPages: BigInt(maxPages) }),
    clampedPages: BigInt(clampedPages ?? 0),
    is64Bit: is64,
    shared,
    imported,
  };
}

function tableMessage(table: ReportedTable): MessageInitShape<typeof WasmTableSchema> {
  const { minElements, maxElements, clampedElements, elementType, imported } = table;
  return {
    minElements: BigInt(minElements),
    ...(maxElements !== undefined && { maxElements: BigInt(maxElements) }),
    clampedElements: BigInt(clampedElements ?? 0),
    type: elementType,
    imported,
  };
}
