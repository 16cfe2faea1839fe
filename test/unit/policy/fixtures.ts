/** Policies and manifests for the tests of the policy. */

import type { Manifest } from '../../../src/model/manifest.ts';
import { Policy } from '../../../src/policy/policy.ts';

/** A manifest that asks for nothing beside what is given. */
export function manifestWith(fields: Partial<Manifest> = {}): Manifest {
  return {
    name: 'echo',
    version: '1.0.0',
    description: '',
    functions: undefined,
    capabilities: [],
    config: {},
    limits: {},
    instance: { mode: 'fresh', warm: 1 },
    allowedHosts: [],
    secrets: [],
    invoke: [],
    mounts: {},
    ...fields,
  };
}

/** A rule as an operator writes it, for everybody unless it says otherwise. */
export function ruleJson(fields: object = {}): object {
  return { name: 'all', tenants: ['*'], plugins: ['*'], ...fields };
}

/** The policy of these rules, which must be acceptable. */
export function policyOf(...rules: readonly object[]): Policy {
  const { policy, violations } = Policy.read(JSON.stringify({ rules }));
  if (!policy) throw new Error(JSON.stringify(violations));
  return policy;
}
