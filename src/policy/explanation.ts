/** Explains a grant: each thing asked for, the rules that allow it, and who set each limit. Pure. */

import { capabilityNames } from '../model/capability.ts';
import type { HttpTarget } from '../model/grant.ts';
import type { ExplainedLimit, ExplainedPart, GrantExplanation } from '../model/grant-explanation.ts';
import { hostsOverlap } from '../model/host-pattern.ts';
import { cappedLimits } from '../model/limit-caps.ts';
import { resolveLimits, type RunLimitName } from '../model/limits.ts';
import type { Manifest } from '../model/manifest.ts';
import { commonNames } from '../model/name-pattern.ts';
import {
  capsOf,
  familyNumbers,
  type GrantDecision,
  type GrantSubject,
  type Judged,
  judgeCapability,
  judgeParts,
  type SetNumber,
} from './decision.ts';
import { type QuotaFamily, quotas, wordOf } from './quotas.ts';
import type { Part } from './refusal.ts';
import type { PolicyRule, SecretSource } from './rule.ts';

/** `rules` are those that match, `decision` is theirs. */
export function explain(
  rules: readonly PolicyRule[],
  { tenant, manifest }: GrantSubject,
  { grant, refusals, partRefusals }: GrantDecision,
): GrantExplanation {
  const families = (Object.keys(quotas) as QuotaFamily[]).filter((family) => grant.capabilities.includes(family));
  return {
    tenant,
    plugin: manifest.name,
    rules: namesOf(rules),
    capabilities: capabilityNames.map((capability) => {
      const judged = judgeCapability(rules, manifest, capability);
      const asked = manifest.capabilities.includes(capability);
      return { capability, asked, allowedBy: namesOf(judged.rules), granted: judged.granted };
    }),
    parts: judgeParts(rules, manifest).flatMap((judged) => explainPart(judged, manifest)),
    limits: [...runLimits(rules, manifest), ...families.flatMap((family) => familyLimits(rules, family))],
    refusals,
    partRefusals,
  };
}

function explainPart({ asked, rules, granted }: Judged<Part>, manifest: Manifest): readonly ExplainedPart[] {
  const { kind, name } = asked;
  const allowedBy = namesOf(rules);
  const detail = granted ? detailOf(asked, rules) : '';
  if (kind !== 'mount') return [{ kind, asked: name, allowedBy, granted, detail }];
  const paths = Object.keys(manifest.mounts).filter((path) => manifest.mounts[path] === name);
  return paths.map((path) => ({ kind, asked: `${path}: ${name}`, allowedBy, granted, detail }));
}

function detailOf({ kind, name }: Part, rules: readonly PolicyRule[]): string {
  switch (kind) {
    case 'host':
      return rules
        .flatMap(({ targets }) => targets)
        .filter(({ host }) => hostsOverlap(host, name))
        .map(targetText)
        .join(', ');
    case 'secret':
      return sourceText(rules[0]?.secrets.get(name));
    case 'mount':
      return rules[0]?.mounts.get(name) ?? '';
    case 'plugin': {
      const common = rules.flatMap(({ invocable }) => invocable.map((pattern) => commonNames(pattern, name)));
      return [...new Set(common.filter((pattern) => pattern !== undefined))].join(', ');
    }
  }
}

/** "GET https://api.example.com:443, private" */
function targetText({ scheme, host, port, methods, isPrivateAllowed }: HttpTarget): string {
  const verbs = methods === undefined ? '' : `${methods.join(' ')} `;
  const shownHost = host.includes(':') ? `[${host}]` : host;
  return `${verbs}${scheme}://${shownHost}${port === undefined ? '' : `:${port}`}${isPrivateAllowed ? ' (private)' : ''}`;
}

function sourceText(source: SecretSource | undefined): string {
  if (source === undefined) return '';
  return 'env' in source ? `environment variable ${source.env}` : `file ${source.file}`;
}

/** The limits of a run that asks for none. */
function runLimits(rules: readonly PolicyRule[], manifest: Manifest): readonly ExplainedLimit[] {
  const caps = capsOf(rules);
  const asked = resolveLimits({}, manifest.limits);
  const capped = cappedLimits(asked, caps);
  return (Object.keys(capped) as RunLimitName[]).map((name) => {
    const limit = { name: `limits.${wordOf(name)}`, value: capped[name] };
    const rule = caps[name]?.rule;
    if (rule !== undefined && capped[name] < asked[name]) return { ...limit, setBy: 'policy', rule };
    return { ...limit, setBy: manifest.limits[name] === undefined ? 'default' : 'manifest' };
  });
}

function familyLimits(rules: readonly PolicyRule[], family: QuotaFamily): readonly ExplainedLimit[] {
  return Object.entries<SetNumber>(familyNumbers(rules, family)).map(([name, { value, rule }]) => ({
    name: `${family}.${wordOf(name)}`,
    value,
    ...(rule === undefined ? { setBy: 'default' } : { setBy: 'policy', rule }),
  }));
}

function namesOf(rules: readonly PolicyRule[]): readonly string[] {
  return rules.map(({ name }) => name);
}
