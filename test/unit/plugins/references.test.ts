import { describe, expect, test } from 'vitest';
import { nameAndVersion, parseReference } from '../../../src/plugins/references.ts';
import { execErrorOf } from './fakes.ts';

const hex = 'ab'.repeat(32);

describe('parseReference', () => {
  test.each([
    ['echo', { kind: 'name', name: 'echo' }],
    ['echo@1.0.0-rc.1+b', { kind: 'version', name: 'echo', version: '1.0.0-rc.1+b' }],
    [`sha256:${hex}`, { kind: 'digest', digest: `sha256:${hex}` }],
    [`sha256:${hex.toUpperCase()}`, { kind: 'digest', digest: `sha256:${hex}` }],
  ])('reads %j', (text, reference) => {
    expect(parseReference(text)).toEqual(reference);
  });

  test.each([
    ['', 'is required'],
    ['Echo', 'names the plugin "Echo", which must have 1 to 63 lowercase letters'],
    ['@1.0.0', 'names the plugin "", which'],
    ['echo@', 'names the version "", which must be a semantic version'],
    ['echo@1', 'names the version "1", which must be a semantic version such as "1.2.3"'],
    ['echo@1.0.0@2', 'names the version "1.0.0@2", which'],
    [`sha256:${hex}0`, 'must have 64 hex digits after "sha256:"'],
    [hex, 'which must have 1 to 63'],
    ['../../etc/passwd', 'names the plugin "../../etc/passwd"'],
    ['a\n\u0007', 'names the plugin "a\\u000a\\u0007"'],
  ])('says what is wrong with %j', async (text, message) => {
    const error = await execErrorOf(() => parseReference(text));
    expect(error.reason).toBe('REQUEST_INVALID');
    expect(error.violations).toEqual([{ field: 'plugin', description: expect.stringContaining(message) }]);
  });

  test('cuts a reference that is very long', async () => {
    const error = await execErrorOf(() => parseReference('x'.repeat(100_000)));
    expect(error.message.length).toBeLessThan(500);
  });
});

describe('nameAndVersion', () => {
  test.each(['', 'echo', '@1.0.0', 'echo@', 'echo@1', `sha256:${hex}`])('takes nothing from %j', (text) => {
    expect(nameAndVersion(text)).toBeUndefined();
  });

  test('takes both parts', () => {
    expect(nameAndVersion('echo@1.0.0')).toEqual({ name: 'echo', version: '1.0.0' });
  });
});
