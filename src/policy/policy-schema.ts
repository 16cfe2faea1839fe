/**
 * The policy as operators write it: a strict JSON object, every mistake reported
 * at once with its path. Knows form only; what rules mean for a plugin stands in
 * decision.ts.
 */

import { z } from 'zod';
import { type JsonPath, readJson } from '../base/strict-json.ts';
import { hasControlCharacter } from '../base/text.ts';
import { type CapabilityName, capabilityNames } from '../model/capability.ts';
import type { FieldViolation } from '../model/exec-error.ts';
import type { HttpTarget } from '../model/grant.ts';
import { hostPatternRefusal, isExactHost } from '../model/host-pattern.ts';
import type { LimitsAsked } from '../model/limits.ts';
import { givenNameRefusal, namePatternRefusal } from '../model/name-pattern.ts';
import { issueViolations, readingViolations, shown, violationAt } from '../model/schema-issues.ts';
import { limitQuotas, quotas, wordOf } from './quotas.ts';
import type { PolicyRule, SecretSource } from './rule.ts';

export interface PolicyReading {
  /** Undefined if there is any violation. */
  readonly rules: readonly PolicyRule[] | undefined;
  readonly violations: readonly FieldViolation[];
}

/** Bytes of a policy. They bound what one grant can hold, too. */
export const policyBytesMax = 1_048_576;
export const rulesMax = 1_000;
/** Items of one list or entries of one object in a rule. */
export const listMax = 256;
const ruleNameLengthMax = 63;
const pathLengthMax = 4_096;
const violationsMax = 100;

const textOf = (refusal: (text: string) => string | undefined) =>
  z.string().superRefine((text, context) => {
    const message = refusal(text);
    if (message !== undefined) context.addIssue({ code: 'custom', message });
  });

function ruleNameRefusal(name: string): string | undefined {
  const fits = name !== '' && name.length <= ruleNameLengthMax && !hasControlCharacter(name);
  return fits ? undefined : `must have 1 to ${ruleNameLengthMax} characters, none of them a control character`;
}

function pathRefusal(path: string): string | undefined {
  const fits = path.startsWith('/') && path.length <= pathLengthMax && !path.includes('\0');
  return fits && !path.split('/').includes('..') ? undefined : 'must be an absolute path without ".."';
}

function variableRefusal(name: string): string | undefined {
  return /^[A-Za-z_]\w{0,127}$/.test(name)
    ? undefined
    : 'must be the name of an environment variable: letters, digits and "_"';
}

function methodRefusal(method: string): string | undefined {
  return /^[A-Z]{1,20}$/.test(method) ? undefined : 'must be a method in capital letters, such as "GET"';
}

type Numbers = Readonly<Record<string, { readonly min: number; readonly max: number }>>;

const numbers = (of: Numbers): Record<string, z.ZodOptional<z.ZodInt>> =>
  Object.fromEntries(
    Object.entries(of).map(([name, { min, max }]) => [wordOf(name), z.int().min(min).max(max).optional()]),
  );

const patterns = z.array(textOf(namePatternRefusal)).min(1).max(listMax);

const target = z
  .strictObject({
    host: textOf(hostPatternRefusal),
    scheme: z.enum(['https', 'http', '*']).optional(),
    port: z.int().min(1).max(65_535).optional(),
    methods: z.array(textOf(methodRefusal)).min(1).max(listMax).optional(),
    private: z.boolean().optional(),
  })
  .superRefine(({ host, private: isPrivateAllowed }, context) => {
    if (isPrivateAllowed !== true || isExactHost(host)) return;
    const message = `can be true for one host only, but "host" is ${shown(host)}: name each host in a target of its own`;
    context.addIssue({ code: 'custom', path: ['private'], message });
  });

const http = z.strictObject({ ...numbers(quotas.http), targets: z.array(target).max(listMax).optional() });
const kv = z.strictObject(numbers(quotas.kv));
const wasi = z.strictObject(numbers(quotas.wasi));
const limits = z.strictObject(numbers(limitQuotas));
const invoke = z.strictObject({ ...numbers(quotas.invoke), plugins: patterns.optional() });

const secretSource = z
  .strictObject({ env: textOf(variableRefusal).optional(), file: textOf(pathRefusal).optional() })
  .superRefine(({ env, file }, context) => {
    if ((env === undefined) === (file === undefined))
      context.addIssue({ code: 'custom', message: 'must have either "env" or "file"' });
  });

const recordOf = <Value extends z.ZodType>(value: Value) =>
  z.record(textOf(givenNameRefusal), value).superRefine((record, context) => {
    if (Object.keys(record).length > listMax)
      context.addIssue({ code: 'custom', message: `must have at most ${listMax} entries` });
  });

const everyCapability = '*';

const rule = z.strictObject({
  name: textOf(ruleNameRefusal),
  tenants: patterns,
  plugins: patterns,
  capabilities: z
    .array(z.enum([...capabilityNames, everyCapability] as [CapabilityName | '*']))
    .max(listMax)
    .optional(),
  http: http.optional(),
  kv: kv.optional(),
  wasi: wasi.optional(),
  mounts: recordOf(textOf(pathRefusal)).optional(),
  secrets: recordOf(secretSource).optional(),
  invoke: invoke.optional(),
  limits: limits.optional(),
});

const policySchema = z.strictObject({ $schema: z.string().optional(), rules: z.array(rule).max(rulesMax) });

type RuleJson = z.infer<typeof rule>;

/** Reads a policy and reports everything that is wrong with it. Never throws for a bad one. */
export function readPolicy(text: string): PolicyReading {
  const bytes = Buffer.byteLength(text);
  if (bytes > policyBytesMax)
    return refused([violationAt('policy', [], `must have at most ${policyBytesMax} bytes, but has ${bytes}`)]);
  const json = readJson(text);
  if (json.syntax) return refused(readingViolations('policy', json));
  const checked = policySchema.safeParse(json.value, { reportInput: true });
  const words = { name: 'policy', written: new Map(), foreignKeys, knownKeys };
  const violations = [
    ...readingViolations('policy', json),
    ...(checked.error?.issues ?? []).flatMap((issue) => issueViolations(issue, words)),
    ...(checked.data === undefined ? [] : repeatedNames(checked.data.rules)),
  ];
  return checked.data === undefined || violations.length > 0
    ? refused(violations)
    : { rules: checked.data.rules.map(ruleOf), violations };
}

function refused(violations: readonly FieldViolation[]): PolicyReading {
  return { rules: undefined, violations: violations.slice(0, violationsMax) };
}

/** Words that stand in a manifest and that someone may look for here. */
const foreignKeys: ReadonlyMap<string, string> = new Map([
  ['allowed_hosts', 'is a word of manifests: in a policy, hosts stand in "http.targets" of a rule'],
  ['capabilities', 'belongs into a rule: {"rules": [{"capabilities": […]}]}'],
]);

const objects: Readonly<Record<string, z.ZodObject>> = {
  '': policySchema,
  rules: rule,
  'rules.http': http,
  'rules.http.targets': target,
  'rules.kv': kv,
  'rules.wasi': wasi,
  'rules.invoke': invoke,
  'rules.limits': limits,
};

function knownKeys(path: JsonPath): readonly string[] {
  const steps = path.filter((step) => typeof step === 'string');
  const found = steps[1] === 'secrets' ? secretSource : objects[steps.join('.')];
  return Object.keys(found?.shape ?? {});
}

function repeatedNames(rules: readonly RuleJson[]): readonly FieldViolation[] {
  const first = new Map<string, number>();
  return rules.flatMap(({ name }, index) => {
    const before = first.get(name);
    if (before !== undefined)
      return [violationAt('policy', ['rules', index, 'name'], `is the name of rules[${before}], too`)];
    first.set(name, index);
    return [];
  });
}

function ruleOf(json: RuleJson): PolicyRule {
  return {
    name: json.name,
    tenants: json.tenants,
    plugins: json.plugins,
    capabilities: capabilitiesOf(json.capabilities ?? []),
    targets: (json.http?.targets ?? []).map((written) => targetOf(written, json.name)),
    http: numbersOf(json.http, quotas.http),
    kv: numbersOf(json.kv, quotas.kv),
    wasi: numbersOf(json.wasi, quotas.wasi),
    mounts: new Map(Object.entries(json.mounts ?? {})),
    secrets: new Map(Object.entries(json.secrets ?? {}) as [string, SecretSource][]),
    invocable: json.invoke?.plugins ?? [],
    invoke: numbersOf(json.invoke, quotas.invoke),
    limits: numbersOf(json.limits, limitQuotas) satisfies LimitsAsked,
  };
}

function capabilitiesOf(written: readonly (CapabilityName | '*')[]): readonly CapabilityName[] {
  return written.includes(everyCapability) ? capabilityNames : capabilityNames.filter((name) => written.includes(name));
}

function targetOf(written: z.infer<typeof target>, ruleName: string): HttpTarget {
  return {
    scheme: written.scheme ?? 'https',
    host: written.host,
    port: written.port,
    methods: written.methods,
    isPrivateAllowed: written.private ?? false,
    rule: ruleName,
  };
}

/** The numbers that stand in an object of the policy, by their names here. */
function numbersOf<Name extends string>(
  json: object | undefined,
  of: Readonly<Record<Name, unknown>>,
): { readonly [Known in Name]?: number } {
  const found = Object.keys(of).flatMap((name) => {
    const value = (json as Readonly<Record<string, unknown>> | undefined)?.[wordOf(name)];
    return typeof value === 'number' ? [[name, value]] : [];
  });
  return Object.fromEntries(found) as { readonly [Known in Name]?: number };
}
