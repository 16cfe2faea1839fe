/**
 * What refusals of grants say: when a plugin is published, when a run is denied,
 * and when someone asks for an explanation. Pure.
 */

import { boundedText, singleLine } from '../base/text.ts';
import type { GrantRefusal } from './grant.ts';

/** Rules that a text names. */
const namedRulesMax = 5;
const nameBytesMax = 128;

/** One sentence: what is needed, who does not allow it, and what to add. */
export function refusalText(refusal: GrantRefusal): string {
  const needed = refusal.asked === refusal.capability ? `capability "${refusal.capability}"` : shownText(refusal.asked);
  const refused =
    refusal.by === 'manifest'
      ? 'which the manifest does not ask for'
      : `which no rule of the policy allows (${rulesText(refusal.rules)})`;
  return `It needs the ${needed}, ${refused}: ${shownText(refusal.line)}`;
}

function rulesText(rules: readonly string[]): string {
  if (rules.length === 0) return 'no rule matches';
  const named = rules.slice(0, namedRulesMax).map((name) => `"${shownText(name)}"`);
  const more = rules.length - named.length;
  return `rules that match: ${named.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

/** Names in it may come from a guest. */
function shownText(text: string): string {
  return singleLine(boundedText(text, nameBytesMax * 4));
}
