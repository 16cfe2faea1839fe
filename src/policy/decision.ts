/**
 * What rules make of a manifest: the grant, and why something is not in it. Rules
 * only allow, and all that match add up; of numbers the largest counts. Pure.
 */

import { type CapabilityName, capabilityNames } from '../model/capability.ts';
import type { Grant, GrantRefusal, Mount } from '../model/grant.ts';
import { hostsOverlap } from '../model/host-pattern.ts';
import type { LimitCap, LimitCaps } from '../model/limit-caps.ts';
import type { RunLimitName } from '../model/limits.ts';
import type { Manifest } from '../model/manifest.ts';
import { commonNames } from '../model/name-pattern.ts';
import { type QuotaFamily, quotas } from './quotas.ts';
import { capabilityOfPart, type Part, type RefusalContext, refusalOfCapability, refusalOfPart } from './refusal.ts';
import type { PolicyRule } from './rule.ts';

export interface GrantSubject {
  readonly tenant: string;
  readonly manifest: Manifest;
}

export interface GrantDecision {
  readonly grant: Grant;
  /** Capabilities that the manifest asks for and the policy does not allow: nothing can run without them. */
  readonly refusals: readonly GrantRefusal[];
  /** Hosts, secrets, folders and plugins that the policy does not allow although their capability is granted: only using them is denied. */
  readonly partRefusals: readonly GrantRefusal[];
}

/** What one capability, or something of it that has a name, comes to. */
export interface Judged<Asked> {
  readonly asked: Asked;
  /** The rules that allow it. */
  readonly rules: readonly PolicyRule[];
  /** Whether it is granted, for which the capability as a whole must be. */
  readonly granted: boolean;
}

/** The grant of a tenant and a plugin by the rules that match both, which `context` has. */
export function decide({ tenant, manifest }: GrantSubject, context: RefusalContext): GrantDecision {
  const { rules } = context;
  const capabilities = capabilityNames.map((name) => judgeCapability(rules, manifest, name));
  const parts = judgeParts(rules, manifest);
  const granted = capabilities.filter((judged) => judged.granted).map(({ asked }) => asked);
  const names = (kind: Part['kind']): readonly string[] =>
    parts.filter(({ asked, granted }) => granted && asked.kind === kind).map(({ asked }) => asked.name);
  const grant: Grant = {
    tenant,
    plugin: manifest.name,
    capabilities: granted,
    http: {
      ...numbersOf(rules, 'http'),
      askedHosts: granted.includes('http') ? manifest.allowedHosts : [],
      targets: granted.includes('http') ? rules.flatMap(({ targets }) => targets) : [],
    },
    kv: numbersOf(rules, 'kv'),
    wasi: { ...numbersOf(rules, 'wasi'), mounts: mountsOf(manifest, names('mount')) },
    invoke: { ...numbersOf(rules, 'invoke'), plugins: invocable(rules, names('plugin')) },
    secrets: names('secret'),
  };
  const refused = capabilities.filter(({ asked, granted }) => !granted && manifest.capabilities.includes(asked));
  const refusedParts = parts.filter(
    ({ asked, rules }) => rules.length === 0 && granted.includes(capabilityOfPart[asked.kind]),
  );
  return {
    grant,
    refusals: refused.map(({ asked }) => refusalOfCapability(asked, context)),
    partRefusals: refusedParts.map(({ asked }) => refusalOfPart(asked, context)),
  };
}

/** What the rules say of a capability. */
export function judgeCapability(
  rules: readonly PolicyRule[],
  manifest: Manifest,
  asked: CapabilityName,
): Judged<CapabilityName> {
  const allowing = rules.filter(({ capabilities }) => capabilities.includes(asked));
  return { asked, rules: allowing, granted: allowing.length > 0 && manifest.capabilities.includes(asked) };
}

/** What the rules say of everything that the manifest asks for by name. */
export function judgeParts(rules: readonly PolicyRule[], manifest: Manifest): readonly Judged<Part>[] {
  const judge = (asked: Part): Judged<Part> => {
    const allowing = rules.filter((rule) => allowsPart(rule, asked));
    const whole = judgeCapability(rules, manifest, capabilityOfPart[asked.kind]);
    return { asked, rules: allowing, granted: allowing.length > 0 && whole.granted };
  };
  return [
    ...manifest.allowedHosts.map((name) => judge({ kind: 'host', name })),
    ...manifest.secrets.map((name) => judge({ kind: 'secret', name })),
    ...[...new Set(Object.values(manifest.mounts))].map((name) => judge({ kind: 'mount', name })),
    ...manifest.invoke.map((name) => judge({ kind: 'plugin', name })),
  ];
}

/** Whether a rule allows something, whole or in part: patterns need only have something in common. */
function allowsPart(rule: PolicyRule, { kind, name }: Part): boolean {
  switch (kind) {
    case 'host':
      return rule.targets.some(({ host }) => hostsOverlap(host, name));
    case 'secret':
      return rule.secrets.has(name);
    case 'mount':
      return rule.mounts.has(name);
    case 'plugin':
      return rule.invocable.some((pattern) => commonNames(pattern, name) !== undefined);
  }
}

/** A number and the rule that set it; undefined for the default. */
export interface SetNumber {
  readonly value: number;
  readonly rule: string | undefined;
}

/** The numbers of one family: of each the largest that a rule names, else the default. */
export function familyNumbers<Family extends QuotaFamily>(
  rules: readonly PolicyRule[],
  family: Family,
): Readonly<Record<keyof (typeof quotas)[Family] & string, SetNumber>> {
  const found = Object.entries<{ readonly default: number }>(quotas[family]).map(([name, quota]) => {
    const named = largest(rules, (rule) => (rule[family] as Readonly<Record<string, number>>)[name]);
    return [name, named ?? { value: quota.default, rule: undefined }];
  });
  return Object.fromEntries(found) as Readonly<Record<keyof (typeof quotas)[Family] & string, SetNumber>>;
}

/** The maxima of limits that the rules name, of each the largest. */
export function capsOf(rules: readonly PolicyRule[]): LimitCaps {
  const names = new Set(rules.flatMap(({ limits }) => Object.keys(limits) as RunLimitName[]));
  const caps = [...names].map((name): [string, LimitCap | undefined] => {
    const found = largest(rules, ({ limits }) => limits[name]);
    return [name, found && { max: found.value, rule: found.rule ?? '' }];
  });
  return Object.fromEntries(caps) as LimitCaps;
}

function largest(
  rules: readonly PolicyRule[],
  numberOf: (rule: PolicyRule) => number | undefined,
): SetNumber | undefined {
  let found: SetNumber | undefined;
  for (const rule of rules) {
    const value = numberOf(rule);
    if (value !== undefined && value > (found?.value ?? -1)) found = { value, rule: rule.name };
  }
  return found;
}

function numbersOf<Family extends QuotaFamily>(
  rules: readonly PolicyRule[],
  family: Family,
): Readonly<Record<keyof (typeof quotas)[Family] & string, number>> {
  const numbers = Object.entries<SetNumber>(familyNumbers(rules, family)).map(([name, { value }]) => [name, value]);
  return Object.fromEntries(numbers) as Readonly<Record<keyof (typeof quotas)[Family] & string, number>>;
}

function mountsOf({ mounts }: Manifest, given: readonly string[]): readonly Mount[] {
  return Object.entries(mounts)
    .filter(([, name]) => given.includes(name))
    .map(([guestPath, name]) => ({ guestPath, name }));
}

/** What the patterns asked for have in common with those allowed, each once. */
function invocable(rules: readonly PolicyRule[], asked: readonly string[]): readonly string[] {
  const allowed = rules.flatMap((rule) => rule.invocable);
  const common = asked.flatMap((one) => allowed.map((other) => commonNames(one, other)));
  return [...new Set(common.filter((pattern) => pattern !== undefined))];
}
