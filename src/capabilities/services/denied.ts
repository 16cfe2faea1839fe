/** Answers that end a run because its grant does not cover something that has a name. */

import { boundedText, singleLine } from '../../base/text.ts';
import type { CapabilityName } from '../../model/capability.ts';
import type { Grant } from '../../model/grant.ts';
import { answerCodes, type HostAnswer } from '../../model/operation.ts';

/** Names of the policy's rules that match the grant's tenant and plugin, for messages. */
export type RulesOf = (grant: Grant) => readonly string[];

export interface Refused {
  readonly capability: CapabilityName;
  /** What the plugin wanted to do, such as: read the secret "KEY". */
  readonly wish: string;
  /** What the manifest must have, such as: "KEY" in "secrets". */
  readonly manifestLine: string;
  /** What a rule of the policy must have. */
  readonly policyLine: string;
}

const encoder = new TextEncoder();
const shownBytesMax = 128;
const shownRulesMax = 5;

/** A guest's or a caller's text in quotes, fit for a message. */
export function quoted(text: string): string {
  return `"${singleLine(boundedText(text, shownBytesMax))}"`;
}

/** The answer that names capability, rules and the lines to add. */
export function deniedAnswer(grant: Grant, refused: Refused, rules: readonly string[]): HostAnswer {
  const [plugin, tenant] = [quoted(grant.plugin), quoted(grant.tenant)];
  const text =
    `Capability "${refused.capability}": plugin ${plugin} may not ${refused.wish}, ` +
    `which manifest and policy do not both allow (${rulesText(rules)}). ` +
    `Both must have it: ${refused.manifestLine} of the manifest, ` +
    `and ${refused.policyLine} of a rule for tenant ${tenant} and plugin ${plugin}`;
  return { code: answerCodes.denied, payload: encoder.encode(text) };
}

function rulesText(rules: readonly string[]): string {
  if (rules.length === 0) return 'no rule matches';
  const more = rules.length - shownRulesMax;
  const shown = rules.slice(0, shownRulesMax).map(quoted).join(', ');
  return `rules that match: ${shown}${more > 0 ? ` and ${more} more` : ''}`;
}
