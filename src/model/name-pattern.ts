/**
 * Patterns of names of tenants and plugins: a name, the beginning of a name and
 * "*", or "*". And the names that operators give to secrets and folders, which
 * manifests and policies share.
 */

const patternForm = /^(?:\*|[a-z0-9][a-z0-9._-]{0,62}\*?)$/;
const givenNameForm = /^[A-Za-z_][A-Za-z0-9_.-]{0,127}$/;

/** Why this is no pattern of names; undefined if it is one. */
export function namePatternRefusal(pattern: string): string | undefined {
  return patternForm.test(pattern)
    ? undefined
    : 'must be a name, the beginning of a name and "*", or "*"; names have lowercase letters, digits, "-", "_" and "."';
}

/** Whether a pattern covers a name. */
export function nameMatches(pattern: string, name: string): boolean {
  return pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : pattern === name;
}

/** The pattern of the names that both patterns cover; undefined if there are none. */
export function commonNames(one: string, other: string): string | undefined {
  if (!one.endsWith('*')) return nameMatches(other, one) ? one : undefined;
  if (!other.endsWith('*')) return nameMatches(one, other) ? other : undefined;
  const [shorter, longer] = one.length <= other.length ? [one, other] : [other, one];
  return nameMatches(shorter, longer.slice(0, -1)) ? longer : undefined;
}

/** Why a secret or a folder cannot have this name; undefined if it can. */
export function givenNameRefusal(name: string): string | undefined {
  return givenNameForm.test(name)
    ? undefined
    : 'must have 1 to 128 letters, digits, "_", "." or "-", the first a letter or "_"';
}
