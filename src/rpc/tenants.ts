/** Whose call it is: the tenant that a call's metadata names. Who may name which tenant is settled before calls come here. */

import type { Metadata } from '@grpc/grpc-js';
import { tenantDefault, tenantKey, tenantOfServer, tenantRefusal } from '../model/tenant.ts';
import { Violations } from './violations.ts';

/** The tenant of a call; a name that cannot be is one violation among others. */
export function checkTenant(violations: Violations, metadata: Metadata): string {
  const [named, ...others] = metadata.get(tenantKey).map(String);
  if (named === undefined) return tenantDefault;
  const refusal = others.length > 0 ? 'must be given once' : (tenantRefusal(named) ?? reservedRefusal(named));
  if (refusal !== undefined) violations.add(tenantKey, refusal);
  return named;
}

/** The tenant of a call; throws REQUEST_INVALID naming the metadata key. */
export function tenantOf(metadata: Metadata): string {
  const violations = new Violations();
  const tenant = checkTenant(violations, metadata);
  violations.throwIfAny();
  return tenant;
}

function reservedRefusal(name: string): string | undefined {
  return name === tenantOfServer ? `must not be "${tenantOfServer}", which is the server itself` : undefined;
}
