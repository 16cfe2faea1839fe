import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { capabilityNames } from '../../../src/model/capability.ts';
import { Policy } from '../../../src/policy/policy.ts';
import { readPolicy } from '../../../src/policy/policy-schema.ts';
import { limitQuotas, quotas, wordOf } from '../../../src/policy/quotas.ts';
import { builtInRule } from '../../../src/policy/rule.ts';
import { manifestWith } from './fixtures.ts';

const document = readFileSync(join(import.meta.dirname, '../../../docs/policy.md'), 'utf8');
const example = /```json\n(.*?)```/s.exec(document)?.[1] ?? '';

test('docs/policy.md has an example that is accepted and begins with the built-in rule', () => {
  const { rules, violations } = readPolicy(example);
  expect(violations).toEqual([]);
  expect(rules?.[0]).toEqual({ ...builtInRule, name: 'everybody', capabilities: expect.any(Array) as unknown[] });
  expect(new Set(rules?.[0]?.capabilities)).toEqual(new Set(builtInRule.capabilities));
});

test('docs/policy.md has an example that grants http to the tenant that it says', () => {
  const policy = Policy.read(example).policy;
  const manifest = manifestWith({ name: 'report-x', capabilities: capabilityNames });
  const granted = (tenant: string): boolean | undefined =>
    policy?.grantFor({ tenant, manifest }).grant.capabilities.includes('http');
  expect([granted('acme'), granted('acme-2'), granted('beta')]).toEqual([true, true, false]);
});

function numberText(value: number): string {
  const mebi = 1_048_576;
  if (value >= 1_024 * mebi) return `${value / (1_024 * mebi)} GiB`;
  return value >= mebi && value % mebi === 0 ? `${value / mebi} MiB` : value.toLocaleString('en');
}

test('docs/policy.md names every number with its default and its maximum', () => {
  for (const [family, numbers] of Object.entries(quotas)) {
    for (const [name, quota] of Object.entries<{ default: number; max: number }>(numbers)) {
      const row = document.split('\n').find((line) => line.startsWith(`| \`${family}.${wordOf(name)}\``));
      expect(row, `${family}.${name}`).toMatch(
        new RegExp(`\\| ${numberText(quota.default)} \\| ${numberText(quota.max)} \\|$`),
      );
    }
  }
  const unnamed = Object.keys(limitQuotas).filter((name) => !document.includes(`\`${wordOf(name)}\``));
  expect(unnamed).toEqual([]);
});
