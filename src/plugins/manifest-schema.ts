/**
 * The manifest as plugin authors write it: a strict JSON object, every mistake
 * reported at once with its path. Extism's camelCase spellings are accepted
 * beside ours. Knows the manifest only; validation.ts sets it beside a module.
 */

import semver from 'semver';
import { z } from 'zod';
import { isObject, type JsonPath, pathText, readJson } from '../base/strict-json.ts';
import { hasControlCharacter } from '../base/text.ts';
import { type CapabilityName, capabilityNames } from '../model/capability.ts';
import type { FieldViolation } from '../model/exec-error.ts';
import { hostPatternRefusal } from '../model/host-pattern.ts';
import { fixedLimits, type LimitsAsked, type RunLimitName, runLimitRanges, wasmPageBytes } from '../model/limits.ts';
import { instanceModes, type Manifest, warmDefault, warmMax } from '../model/manifest.ts';
import { givenNameRefusal, namePatternRefusal } from '../model/name-pattern.ts';
import { issueViolations, readingViolations, violationAt, type WrittenPaths } from '../model/schema-issues.ts';
import { relationViolations } from './manifest-relations.ts';

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
export const allowedHostsMax = 64;
export const secretsMax = 32;
/** Patterns of plugins to be called. */
export const invokeMax = 32;
const guestPathLengthMax = 255;
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

/** Why a guest cannot have a folder at this path; undefined if it can. */
function guestPathRefusal(path: string): string | undefined {
  const [first, ...steps] = path.split('/');
  const isNormal =
    first === '' && steps.length > 0 && steps.every((step) => step !== '' && step !== '.' && step !== '..');
  const fits = isNormal && path.length <= guestPathLengthMax && !hasControlCharacter(path);
  return fits ? undefined : 'must be an absolute path such as "/data", without ".", ".." or a "/" at its end';
}

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
  host_calls: limit('hostCalls').optional(),
});

const instance = z.strictObject({
  mode: z.enum(instanceModes).optional(),
  warm: z.int().min(0).max(warmMax).optional(),
});

const mounts = z.record(refusedBy(guestPathRefusal), refusedBy(givenNameRefusal));

/** A list or an object without anything in it. */
const nothing = (refusal: string) =>
  z.unknown().superRefine((part, context) => {
    const isEmpty = (Array.isArray(part) && part.length === 0) || (isObject(part) && Object.keys(part).length === 0);
    if (!isEmpty) context.addIssue({ code: 'custom', message: refusal });
  });

const pathsRefused = 'is not taken: name folders of the operator in "mounts", and leave this out or empty';

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
  instance: instance.optional(),
  allowed_hosts: z.array(refusedBy(hostPatternRefusal)).max(allowedHostsMax).optional(),
  allowed_paths: nothing(pathsRefused).optional(),
  secrets: z.array(refusedBy(givenNameRefusal)).max(secretsMax).optional(),
  invoke: z.array(refusedBy(namePatternRefusal)).max(invokeMax).optional(),
  mounts: mounts.optional(),
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
    const description = `must have at most ${fixedLimits.manifestBytes} bytes, but has ${bytes}`;
    return noReading([violationAt('manifest', [], description)]);
  }
  const json = readJson(text);
  if (json.syntax) return noReading(readingViolations('manifest', json));
  const { value, written, violations: spellings } = spelledOurWay(json.value);
  const checked = manifestSchema.safeParse(value, { reportInput: true });
  const words = { name: 'manifest', written, foreignKeys, knownKeys };
  const violations = [
    ...readingViolations('manifest', json),
    ...spellings,
    ...(checked.error?.issues ?? []).flatMap((issue) => issueViolations(issue, words)),
    ...relationViolations(value, written),
  ].slice(0, violationsMax);
  const manifest = checked.success && violations.length === 0 ? manifestOf(checked.data) : undefined;
  return { manifest, violations, ...readableParts(value) };
}

/** JSON Schema of the manifest in our spelling, for editors and documentation. */
export function manifestJsonSchema(): object {
  return z.toJSONSchema(manifestSchema, { io: 'input' });
}

/** Words of Extism's manifest that have no meaning here, and why. */
const foreignKeys: ReadonlyMap<string, string> = new Map([
  ['wasm', 'is not a field of this manifest: the module is uploaded beside it'],
  ...['memory.max_http_response_bytes', 'memory.maxHttpResponseBytes'].map((path): [string, string] => [
    path,
    'has no meaning here: the policy of the operator bounds responses',
  ]),
]);

function knownKeys(path: JsonPath): readonly string[] {
  const parts = new Map<unknown, z.ZodObject>([
    [undefined, manifestSchema],
    ['memory', memory],
    ['limits', limits],
    ['instance', instance],
  ]);
  return Object.keys(parts.get(path[0])?.shape ?? {});
}

function noReading(violations: readonly FieldViolation[]): ManifestReading {
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
    instance: { mode: json.instance?.mode ?? 'fresh', warm: json.instance?.warm ?? warmDefault },
    allowedHosts: json.allowed_hosts ?? [],
    secrets: json.secrets ?? [],
    invoke: json.invoke ?? [],
    mounts: json.mounts ?? {},
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
    hostCalls: json.limits?.host_calls,
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
      violations.push(violationAt('manifest', path, `is the same as "${alias.meant}", which is given too: keep one`));
    else {
      holder[alias.meant] = holder[alias.written];
      written.set(pathText([...alias.path, alias.meant]), path);
    }
    delete holder[alias.written];
  }
  return { value, written, violations };
}
