import { Metadata } from '@grpc/grpc-js';
import { describe, expect, test } from 'vitest';
import { tenantOf } from '../../../src/rpc/tenants.ts';

function metadata(...tenants: readonly string[]): Metadata {
  const made = new Metadata();
  for (const tenant of tenants) made.add('Caisson-Tenant', tenant);
  return made;
}

describe('tenantOf', () => {
  test.each(['a', 'acme', 'acme-2', 'a.b_c', 'x'.repeat(63)])('takes %s', (tenant) => {
    expect(tenantOf(metadata(tenant))).toBe(tenant);
  });

  test('is "default" where none is named', () => {
    expect(tenantOf(metadata())).toBe('default');
  });

  test.each([
    [['']],
    [['Acme']],
    [['-acme']],
    [['acme.']],
    [['a b']],
    [['x'.repeat(64)]],
    [['caisson']],
    [['a', 'b']],
    [['a', 'a']],
  ])('refuses %j, naming the key', (tenants) => {
    expect(() => tenantOf(metadata(...tenants))).toThrow(
      expect.objectContaining({
        reason: 'REQUEST_INVALID',
        violations: [expect.objectContaining({ field: 'caisson-tenant' })],
      }),
    );
  });

  test('says whose name "caisson" is', () => {
    expect(() => tenantOf(metadata('caisson'))).toThrow(
      'caisson-tenant: must not be "caisson", which is the server itself',
    );
  });
});
