/** One rule of the operator's policy in its checked form, and the rule that holds where there is no policy. */

import type { CapabilityName } from '../model/capability.ts';
import type { HttpTarget } from '../model/grant.ts';
import type { LimitsAsked } from '../model/limits.ts';
import { nameMatches } from '../model/name-pattern.ts';
import type { FamilyQuotas } from './quotas.ts';

export interface PolicyRule {
  /** For messages; no two rules have the same. */
  readonly name: string;
  /** Patterns of names; the rule holds where one of each list matches. */
  readonly tenants: readonly string[];
  readonly plugins: readonly string[];
  readonly capabilities: readonly CapabilityName[];
  readonly targets: readonly HttpTarget[];
  readonly http: FamilyQuotas<'http'>;
  readonly kv: FamilyQuotas<'kv'>;
  readonly wasi: FamilyQuotas<'wasi'>;
  /** Folder in the host's file system by the name that manifests use. */
  readonly mounts: ReadonlyMap<string, string>;
  readonly secrets: ReadonlyMap<string, SecretSource>;
  /** Patterns of the plugins that may be called. */
  readonly invocable: readonly string[];
  readonly invoke: FamilyQuotas<'invoke'>;
  /** Maxima of the limits of runs. */
  readonly limits: LimitsAsked;
}

/** Where the operator keeps a secret. */
export type SecretSource = { readonly env: string } | { readonly file: string };

/** Whom a rule is asked about. */
export interface RuleSubject {
  readonly tenant: string;
  /** Plugin name. */
  readonly plugin: string;
}

/** Whether a rule holds for a tenant and a plugin. */
export function ruleMatches(rule: PolicyRule, { tenant, plugin }: RuleSubject): boolean {
  return (
    rule.tenants.some((pattern) => nameMatches(pattern, tenant)) &&
    rule.plugins.some((pattern) => nameMatches(pattern, plugin))
  );
}

/** What everybody may do where there is no policy: what stays within the server and holds nothing of the operator's. */
export const builtInRule: PolicyRule = {
  name: 'built-in',
  tenants: ['*'],
  plugins: ['*'],
  capabilities: ['config', 'vars', 'log', 'progress', 'clock', 'random', 'kv', 'usage', 'spans', 'invoke', 'wasi'],
  targets: [],
  http: {},
  kv: {},
  wasi: {},
  mounts: new Map(),
  secrets: new Map(),
  invocable: ['*'],
  invoke: {},
  limits: {},
};
