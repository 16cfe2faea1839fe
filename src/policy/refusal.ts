/** Refusals of the policy: what was asked for, and the line that would allow it. Texts only. */

import type { CapabilityName } from '../model/capability.ts';
import type { GrantRefusal } from '../model/grant.ts';
import type { PolicyRule, RuleSubject } from './rule.ts';

/** Something of a capability that has a name: a host, a secret, a folder, a plugin to call. */
export interface Part {
  readonly kind: 'host' | 'secret' | 'mount' | 'plugin';
  /** As the manifest has it; a pattern where it can have one. */
  readonly name: string;
}

/** The capability that a part belongs to. */
export const capabilityOfPart = {
  host: 'http',
  secret: 'secrets',
  mount: 'wasi',
  plugin: 'invoke',
} as const satisfies Record<Part['kind'], CapabilityName>;

/** Who is refused by what. */
export interface RefusalContext extends RuleSubject {
  /** The rules that match. */
  readonly rules: readonly PolicyRule[];
  /** Whether there is no policy file to add a line to. */
  readonly isBuiltIn: boolean;
}

/** A capability that no rule allows. */
export function refusalOfCapability(capability: CapabilityName, context: RefusalContext): GrantRefusal {
  const line = policyLine(`"${capability}" to "capabilities"`, context);
  return { capability, asked: capability, by: 'policy', rules: namesOf(context), line };
}

/** A part that no rule allows. */
export function refusalOfPart(part: Part, context: RefusalContext): GrantRefusal {
  const { asked, item, word } = wordsOf(part);
  const capability = capabilityOfPart[part.kind];
  return {
    capability,
    asked,
    by: 'policy',
    rules: namesOf(context),
    line: policyLine(`${item} to "${word}"`, context),
  };
}

interface PartWords {
  readonly asked: string;
  /** What to add to a rule, and to which list of it. */
  readonly item: string;
  readonly word: string;
}

/** Names come from a manifest that was checked: they are fit to be shown. */
function wordsOf({ kind, name }: Part): PartWords {
  switch (kind) {
    case 'host':
      return { asked: `host "${name}"`, item: `{"host": "${name}"}`, word: 'http.targets' };
    case 'secret':
      return { asked: `secret "${name}"`, item: `"${name}": {"env": "VARIABLE"}`, word: 'secrets' };
    case 'mount':
      return { asked: `folder "${name}"`, item: `"${name}": "/folder/of/the/host"`, word: 'mounts' };
    case 'plugin':
      return { asked: `plugin "${name}"`, item: `"${name}"`, word: 'invoke.plugins' };
  }
}

function policyLine(what: string, { tenant, plugin, isBuiltIn }: RefusalContext): string {
  const start = isBuiltIn ? 'start the server with --policy FILE and ' : '';
  return `${start}add ${what} of a rule for tenant "${tenant}" and plugin "${plugin}"`;
}

function namesOf({ rules }: RefusalContext): readonly string[] {
  return rules.map(({ name }) => name);
}
