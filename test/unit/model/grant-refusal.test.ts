import { describe, expect, test } from 'vitest';
import type { GrantRefusal } from '../../../src/model/grant.ts';
import { refusalText } from '../../../src/model/grant-refusal.ts';

const refusal: GrantRefusal = {
  capability: 'http',
  asked: 'http',
  by: 'policy',
  rules: ['built-in'],
  line: 'add "http" to "capabilities" of a rule',
};

describe('refusalText', () => {
  test('says what is needed, which rules do not allow it, and what to add', () => {
    expect(refusalText(refusal)).toBe(
      'It needs the capability "http", which no rule of the policy allows (rules that match: "built-in"): add "http" to "capabilities" of a rule',
    );
    expect(refusalText({ ...refusal, capability: 'secrets', asked: 'secret "A"', rules: [] })).toMatch(
      /^It needs the secret "A", which no rule of the policy allows \(no rule matches\): /,
    );
    expect(refusalText({ ...refusal, asked: 'host "a.example"', by: 'manifest', rules: [], line: 'add it' })).toBe(
      'It needs the host "a.example", which the manifest does not ask for: add it',
    );
  });

  test('names five rules and counts the rest', () => {
    const rules = (count: number): readonly string[] => Array.from({ length: count }, (_, index) => `r${index}`);
    expect(refusalText({ ...refusal, rules: rules(5) })).toContain('(rules that match: "r0", "r1", "r2", "r3", "r4"):');
    expect(refusalText({ ...refusal, rules: rules(7) })).toContain('"r4" and 2 more):');
  });

  test('is one bounded line whatever a guest asked for', () => {
    const text = refusalText({ ...refusal, asked: `host "a\n${'x'.repeat(10_000)}"` });
    expect(text).toContain('\\u000a');
    expect(text.length).toBeLessThan(1_000);
  });
});
