import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { Policy } from '../../../src/policy/policy.ts';
import { readPolicyFile } from '../../../src/policy/policy-file.ts';

const folder = mkdtempSync(join(tmpdir(), 'caisson-policy-'));
afterAll(() => rmSync(folder, { recursive: true }));

function fileOf(content: string | Uint8Array): string {
  const path = join(mkdtempSync(join(folder, 'p-')), 'policy.json');
  writeFileSync(path, content);
  return path;
}

test('readPolicyFile reads a policy, and has the built-in one without a file', async () => {
  const policy = await readPolicyFile(fileOf('{"rules": [{"name": "r", "tenants": ["*"], "plugins": ["*"]}]}'));
  expect(policy.rulesFor({ tenant: 'a', plugin: 'b' })).toEqual(['r']);
  expect(await readPolicyFile(undefined)).toBe(Policy.builtIn);
});

test('readPolicyFile says everything that is wrong', async () => {
  const path = fileOf('{"rules": [{"name": "", "tenants": ["*"]}]}');
  await expect(readPolicyFile(path)).rejects.toMatchObject({
    reason: 'REQUEST_INVALID',
    message: `The policy "${path}" cannot be used`,
    violations: [{ field: 'rules[0].name' }, { field: 'rules[0].plugins', description: 'is required' }],
  });
});

test('readPolicyFile names a file that it cannot read', async () => {
  const missing = join(folder, 'none.json');
  await expect(readPolicyFile(missing)).rejects.toMatchObject({
    reason: 'REQUEST_INVALID',
    message: expect.stringContaining(`The policy "${missing}" cannot be read: ENOENT`) as string,
  });
  await expect(readPolicyFile(fileOf(Uint8Array.of(0xff)))).rejects.toThrow('cannot be read');
});
