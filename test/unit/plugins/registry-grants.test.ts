import { describe, expect, test } from 'vitest';
import { wat } from '../../helpers/wat.ts';
import type { GrantRefusal } from '../../../src/model/grant.ts';
import type { PluginRegistryOptions } from '../../../src/plugins/registry.ts';
import { execErrorOf } from './fakes.ts';
import { chunksOf, dataDirectory, headerOf, manifestOf, openRegistry } from './fixtures.ts';

const bytes = wat('(module (import "extism:host/env" "http_status_code" (func (result i32))) (func (export "run")))');
const manifestText = manifestOf({ capabilities: ['http'] });
const { signal } = new AbortController();

const refusal: GrantRefusal = {
  capability: 'http',
  asked: 'http',
  by: 'policy',
  rules: ['others'],
  line: 'add "http" to "capabilities" of a rule',
};

/** Allows http to the tenant "acme" alone. */
const grants: PluginRegistryOptions['grants'] = {
  grantFor: ({ tenant, manifest }) => ({
    refusals: tenant === 'acme' || !manifest.capabilities.includes('http') ? [] : [refusal],
  }),
};

describe('A registry with a policy', () => {
  test('refuses to publish what the policy does not allow the tenant', async () => {
    await using directory = await dataDirectory();
    await using registry = await openRegistry(directory.path, { grants });
    for (const tenant of ['beta', undefined]) {
      const publish = () => registry.publish(headerOf(manifestText, bytes), chunksOf(bytes), signal, tenant);
      expect(await execErrorOf(publish)).toMatchObject({
        reason: 'CAPABILITY_NOT_GRANTED',
        message:
          'extism:host/env.http_status_code: It needs the capability "http", which no rule of the policy allows (rules that match: "others"): add "http" to "capabilities" of a rule',
      });
    }
    expect(registry.list({ limit: 10 }).versions).toEqual([]);
  });

  test('says so when the upload is only validated', async () => {
    await using directory = await dataDirectory();
    await using registry = await openRegistry(directory.path, { grants });
    const validate = async (tenant: string): Promise<boolean> =>
      (await registry.validate(headerOf(manifestText, bytes), chunksOf(bytes), signal, tenant)).valid;
    expect(await validate('acme')).toBe(true);
    expect(await validate('beta')).toBe(false);
  });

  test('loads what was published before, whatever the policy says now', async () => {
    await using directory = await dataDirectory();
    {
      await using registry = await openRegistry(directory.path, { grants });
      await registry.publish(headerOf(manifestText, bytes), chunksOf(bytes), signal, 'acme');
    }
    const nothing = { grantFor: () => ({ refusals: [refusal] }) };
    await using registry = await openRegistry(directory.path, { grants: nothing });
    expect((await registry.start('echo@1.0.0')).state).toBe('running');
  });
});
