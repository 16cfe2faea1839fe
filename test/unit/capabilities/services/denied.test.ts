import { expect, test } from 'vitest';
import { deniedAnswer, quoted } from '../../../../src/capabilities/services/denied.ts';
import { fakeGrant } from '../fakes.ts';

function textOf(rules: readonly string[]): string {
  const refused = {
    capability: 'secrets',
    wish: 'read the secret "KEY"',
    manifestLine: '"KEY" in "secrets"',
    policyLine: '"KEY": {} in "secrets"',
  } as const;
  const { code, payload } = deniedAnswer(fakeGrant, refused, rules);
  expect(code).toBe(254);
  return Buffer.from(payload).toString();
}

test('A denial names capability, plugin, tenant, rules and the lines to add', () => {
  expect(textOf(['some rule'])).toBe(
    'Capability "secrets": plugin "fake" may not read the secret "KEY", which manifest and policy do not both allow ' +
      '(rules that match: "some rule"). Both must have it: "KEY" in "secrets" of the manifest, ' +
      'and "KEY": {} in "secrets" of a rule for tenant "default" and plugin "fake"',
  );
  expect(textOf([])).toContain('(no rule matches)');
});

test('A denial names at most five rules', () => {
  const rules = Array.from({ length: 7 }, (_, index) => `r${index}`);
  expect(textOf(rules.slice(0, 5))).toContain('"r3", "r4")');
  expect(textOf(rules)).toContain('"r4" and 2 more)');
});

test('Text in quotes is on one line and cut', () => {
  expect(quoted('a\nb')).toBe('"a\\u000ab"');
  expect(quoted('x'.repeat(128))).toBe(`"${'x'.repeat(128)}"`);
  expect(quoted('x'.repeat(129))).toBe(`"${'x'.repeat(125)}…"`);
});
