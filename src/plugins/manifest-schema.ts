/**
 * The manifest as plugin authors write it: a strict JSON object, every mistake
 * reported at once with its path. Extism's camelCase spellings are accepted
 * beside ours. Knows the manifest only; validation.ts sets it beside a module.
 */

import semver from 'semver';
import { z } from 'zod';
import { type CapabilityName, capabilityNames } from '../model/capability.ts';
import type { FieldViolation } from '../model/exec-error.ts';
import { fixedLimits, type LimitsAsked, type RunLimitName, runLimitRanges, wasmPageBytes } from '../model/limits.ts';
import type { Manifest } from '../model/manifest.ts';
import { issueViolations, shown, violation, type WrittenPaths } from './manifest-issues.ts';
import { type JsonPath, pathText, readJson } from './strict-json.ts';

export interface ManifestReading {
  /** Undefined if there is any violation. */
  readonly manifest: Manifest | undefined;
  readonly violations: readonly FieldViolation[];
  /** Parts that could be read although others could not: enough to judge the module all the same. */
  readonly capabilities: readonly CapabilityName[] | undefined;
  readonly functions: readonly string[] | undefined;
  readonly limits: LimitsAsked;
}

/** Functions that one version may offer. */
export const functionsMax = 1_000;
/** Bytes of a function's name. */
export const functionNameBytesMax = 255;
const descriptionBytesMax = 1_024;
const versionLengthMax = 128;
const violationsMax = 100;

const nameForm = /^[a-z0-9](?:[a-z0-9.-]{0,61}[a-z0-9])?$/;
const digestLook = /^(?:sha256[.-]?)?[0-9a-f]{32,}$/;

/** Why a plugin cannot have this name; undefined if it can. */
export function nameRefusal(name: string): string | undefined {
  if (!nameForm.test(name)) {
    return 'must have 1 to 63 lowercase letters, digits, "-" or ".", the first and the last a letter or digit';
  }
  return digestLook.test(name) ? 'must not look like a digest' : undefined;
}

/** Why this is not a semantic version; undefined if it is one. */
export function versionRefusal(version: string): string | undefined {
  if (version.length > versionLengthMax) return `must have at most ${versionLengthMax} characters`;
  const parsed = semver.parse(version);
  const build = parsed && parsed.build.length > 0 ? `+${parsed.build.join('.')}` : '';
  return parsed && parsed.version + build === version
    ? undefined
    : 'must be a semantic version such as "1.2.3" or "1.2.3-rc.1"';
}

const refusedBy = (refusal: (text: string) => string | undefined) =>
  z.string().superRefine((text, context) => {
    const message = refusal(text);
    if (message !== undefined) context.addIssue({ code: 'custom', message });
  });

const textOf = (bytesMax: number) =>
  refusedBy((text) => (Buffer.byteLength(text) > bytesMax ? `must have at most ${bytesMax} bytes` : undefined));

const configKey = refusedBy((key) => {
  const fits = key !== '' && Buffer.byteLength(key) <= fixedLimits.configKeyBytes;
  return fits ? undefined : `must have a key of 1 to ${fixedLimits.configKeyBytes} bytes`;
});

const limit = (name: RunLimitName) => z.int().min(1).max(runLimitRanges[name].max);

const functionList = z
  .array(textOf(functionNameBytesMax).min(1))
  .min(1, 'must name at least one function; leave it out to offer every one that can be executed')
  .max(functionsMax);

const capabilityList = z.array(z.enum(capabilityNames as [CapabilityName, ...CapabilityName[]]));

const memory = z.strictObject({
  max_pages: z
    .int()
    .min(1)
    .max(runLimitRanges.memoryBytes.max / wasmPageBytes)
    .optional(),
  max_var_bytes: limit('varBytes').optional(),
});

const limits = z.strictObject({
  memory_bytes: limit('memoryBytes').optional(),
  input_bytes: limit('inputBytes').optional(),
  output_bytes: limit('outputBytes').optional(),
  log_bytes: limit('logBytes').optional(),
  fuel: limit('fuel').optional(),
  cpu_percent: limit('cpuPercent').optional(),
});

const notOffered = (what: string) =>
  z.array(z.unknown()).max(0, `${what} is not offered by this server: leave it out or empty`).optional();

const manifestSchema = z.strictObject({
  $schema: z.string().optional(),
  name: refusedBy(nameRefusal).meta({ pattern: nameForm.source }),
  version: refusedBy(versionRefusal),
  description: textOf(descriptionBytesMax).optional(),
  functions: functionList.optional(),
  capabilities: capabilityList.optional(),
  config: z.record(configKey, textOf(fixedLimits.configValueBytes)).optional(),
  timeout_ms: limit('timeoutMs').optional(),
  memory: memory.optional(),
  limits: limits.optional(),
  allowed_hosts: notOffered('http'),
  allowed_paths: notOffered('access to files'),
});

type ManifestJson = z.infer<typeof manifestSchema>;

/** Extism's camelCase spellings, by the object that holds them. */
const aliases: readonly { readonly path: JsonPath; readonly written: string; readonly meant: string }[] = [
  { path: [], written: 'timeoutMs', meant: 'timeout_ms' },
  { path: [], written: 'allowedHosts', meant: 'allowed_hosts' },
  { path: [], written: 'allowedPaths', meant: 'allowed_paths' },
  { path: ['memory'], written: 'maxPages', meant: 'max_pages' },
  { path: ['memory'], written: 'maxVarBytes', meant: 'max_var_bytes' },
];

/** Reads a manifest and reports everything that is wrong with it. Never throws for a bad one. */
export function readManifest(text: string): ManifestReading {
  const bytes = Buffer.byteLength(text);
  if (bytes > fixedLimits.manifestBytes) {
    return unreadable(`must have at most ${fixedLimits.manifestBytes} bytes, but has ${bytes}`);
  }
  const json = readJson(text);
  if (json.syntax)
    return unreadable(`is not JSON: line ${json.syntax.line}, column ${json.syntax.column}: ${json.syntax.message}`);
  const { value, written, violations: spellings } = spelledOurWay(json.value);
  const checked = manifestSchema.safeParse(value, { reportInput: true });
  const violations = [
    ...json.problems.map(({ path, line, column, message }) =>
      violation(path, `line ${line}, column ${column}: ${message}`),
    ),
    ...spellings,
    ...(checked.error?.issues ?? []).flatMap((issue) => issueViolations(issue, { written, knownKeys })),
    ...relationViolations(value, written),
  ].slice(0, violationsMax);
  const manifest = checked.success && violations.length === 0 ? manifestOf(checked.data) : undefined;
  return { manifest, violations, ...readableParts(value) };
}

/** JSON Schema of the manifest in our spelling, for editors and documentation. */
export function manifestJsonSchema(): object {
  return z.toJSONSchema(manifestSchema, { io: 'input' });
}

function knownKeys(path: JsonPath): readonly string[] {
  const parts = new Map<unknown, z.ZodObject>([
    [undefined, manifestSchema],
    ['memory', memory],
    ['limits', limits],
  ]);
  return Object.keys(parts.get(path[0])?.shape ?? {});
}

function unreadable(description: string): ManifestReading {
  const violations = [violation([], description)];
  return { manifest: undefined, violations, capabilities: undefined, functions: undefined, limits: {} };
}

function manifestOf(json: ManifestJson): Manifest {
  return {
    name: json.name,
    version: json.version,
    description: json.description ?? '',
    functions: json.functions,
    capabilities: json.capabilities ?? [],
    config: json.config ?? {},
    limits: limitsOf(json),
  };
}

function limitsOf(json: Pick<ManifestJson, 'timeout_ms' | 'memory' | 'limits'>): LimitsAsked {
  const pages = json.memory?.max_pages;
  const asked: { readonly [Name in RunLimitName]: number | undefined } = {
    timeoutMs: json.timeout_ms,
    memoryBytes: pages === undefined ? json.limits?.memory_bytes : pages * wasmPageBytes,
    inputBytes: json.limits?.input_bytes,
    outputBytes: json.limits?.output_bytes,
    logBytes: json.limits?.log_bytes,
    varBytes: json.memory?.max_var_bytes,
    fuel: json.limits?.fuel,
    cpuPercent: json.limits?.cpu_percent,
  };
  return Object.fromEntries(Object.entries(asked).filter(([, value]) => value !== undefined));
}

function readableParts(value: unknown): Pick<ManifestReading, 'capabilities' | 'functions' | 'limits'> {
  const object = isObject(value) ? value : {};
  const read = <Part>(schema: z.ZodType<Part>, part: unknown): Part | undefined => schema.safeParse(part).data;
  const timeout = read(manifestSchema.shape.timeout_ms, object['timeout_ms']);
  const memoryPart = read(manifestSchema.shape.memory, object['memory']);
  const limitsPart = read(manifestSchema.shape.limits, object['limits']);
  return {
    capabilities: isObject(value) ? read(capabilityList, object['capabilities'] ?? []) : undefined,
    functions: read(functionList.optional(), object['functions']),
    limits: limitsOf({ timeout_ms: timeout, memory: memoryPart, limits: limitsPart }),
  };
}

interface Spelling {
  readonly value: unknown;
  readonly written: WrittenPaths;
  readonly violations: readonly FieldViolation[];
}

function spelledOurWay(json: unknown): Spelling {
  const value = structuredClone(json);
  const written = new Map<string, JsonPath>();
  const violations: FieldViolation[] = [];
  for (const alias of aliases) {
    const holder = alias.path.reduce<unknown>((object, step) => (isObject(object) ? object[step] : undefined), value);
    if (!isObject(holder) || !Object.hasOwn(holder, alias.written)) continue;
    const path = [...alias.path, alias.written];
    if (Object.hasOwn(holder, alias.meant))
      violations.push(violation(path, `is the same as "${alias.meant}", which is given too: keep one`));
    else {
      holder[alias.meant] = holder[alias.written];
      written.set(pathText([...alias.path, alias.meant]), path);
    }
    delete holder[alias.written];
  }
  return { value, written, violations };
}

function isObject(value: unknown): value is Record<string | number, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** What is wrong between parts, looked at even where a part is wrong by itself. */
function relationViolations(value: unknown, written: WrittenPaths): readonly FieldViolation[] {
  if (!isObject(value)) return [];
  return [
    ...memoryConflict(value, written),
    ...repeats('functions', value['functions']),
    ...repeats('capabilities', value['capabilities']),
    ...configOverflow(value['config']),
  ];
}

function memoryConflict(value: Readonly<Record<string, unknown>>, written: WrittenPaths): readonly FieldViolation[] {
  const has = (part: unknown, key: string): boolean => isObject(part) && Object.hasOwn(part, key);
  if (!has(value['memory'], 'max_pages') || !has(value['limits'], 'memory_bytes')) return [];
  const pages = pathText(written.get('memory.max_pages') ?? ['memory', 'max_pages']);
  return [violation(['limits', 'memory_bytes'], `limits the same as "${pages}", which is given too: keep one`)];
}

function repeats(key: string, list: unknown): readonly FieldViolation[] {
  if (!Array.isArray(list)) return [];
  const seen = new Set<unknown>();
  return list.flatMap((item, index) => {
    const again = seen.has(item);
    seen.add(item);
    return again ? [violation([key, index], `names ${shown(item)} for the second time`)] : [];
  });
}

function configOverflow(config: unknown): readonly FieldViolation[] {
  const entries = isObject(config) ? Object.keys(config).length : 0;
  if (entries <= fixedLimits.configEntries) return [];
  return [violation(['config'], `must have at most ${fixedLimits.configEntries} entries, but has ${entries}`)];
}
