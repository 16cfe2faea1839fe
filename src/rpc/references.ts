/** Checks how requests name plugins. The form belongs to plugins/; here it becomes one violation among others. */

import { ExecError } from '../model/exec-error.ts';
import { nameRefusal } from '../plugins/manifest-schema.ts';
import { parseReference, type Reference } from '../plugins/references.ts';
import type { Violations } from './violations.ts';

/** A reference in the field `plugin`; kinds that are not allowed there are violations. */
export function checkReference(
  violations: Violations,
  reference: string,
  kinds: readonly Reference['kind'][] = ['name', 'version', 'digest'],
): void {
  try {
    const { kind } = parseReference(reference);
    if (!kinds.includes(kind))
      violations.add('plugin', `must be ${kinds.map((allowed) => forms[allowed]).join(' or ')}`);
  } catch (error) {
    if (!(error instanceof ExecError)) throw error;
    violations.addAll(error.violations);
  }
}

const forms: Readonly<Record<Reference['kind'], string>> = {
  name: '"name"',
  version: '"name@version"',
  digest: '"sha256:" and 64 hex digits',
};

/** A plugin's name, or nothing, as filters take it. */
export function checkNameFilter(violations: Violations, name: string): void {
  const refusal = name === '' ? undefined : nameRefusal(name);
  if (refusal !== undefined) violations.add('name', refusal);
}
