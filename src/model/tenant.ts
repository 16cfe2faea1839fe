/** Tenants: whose calls they are. Limits, grants, fairness and what is stored go by tenant. */

import { fixedLimits } from './limits.ts';

/** The metadata key that names a call's tenant. */
export const tenantKey = 'caisson-tenant';

/** Of calls that name none. */
export const tenantDefault = 'default';

/** Of what the server runs by itself, such as health checks; refused to callers. */
export const tenantOfServer = 'caisson';

const tenantForm = /^[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?$/;

/** Why a tenant cannot have this name; undefined if it can. */
export function tenantRefusal(name: string): string | undefined {
  if (name.length <= fixedLimits.tenantLength && tenantForm.test(name)) return undefined;
  return `must have 1 to ${fixedLimits.tenantLength} lowercase letters, digits, "-", "_" or ".", the first and the last a letter or digit`;
}
