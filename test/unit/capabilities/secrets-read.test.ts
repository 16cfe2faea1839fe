import { expect, test } from 'vitest';
import { rememberSecret, textWithoutSecrets, withoutSecrets } from '../../../src/capabilities/secrets-read.ts';
import { fakeCall } from './fakes.ts';

const said = Buffer.from('say hunter22');

test('What a call says has no secrets that this call has read, and no other', () => {
  const [reader, other] = [fakeCall(), fakeCall()];
  rememberSecret(reader, Buffer.from('hunter22'));
  rememberSecret(reader, Buffer.from('another'));
  expect(Buffer.from(withoutSecrets(reader, said)).toString()).toBe('say [redacted]');
  expect(textWithoutSecrets(reader, 'hunter22 another')).toBe('[redacted] [redacted]');
  expect(withoutSecrets(other, said)).toEqual(said);
  expect(textWithoutSecrets(other, 'hunter22')).toBe('hunter22');
});

test('What a call says is cut where no part of a secret shows, and also in a call that has read none', () => {
  const [reader, other] = [fakeCall(), fakeCall()];
  rememberSecret(reader, Buffer.from('hunter22'));
  expect(Buffer.from(withoutSecrets(reader, said, 6)).toString()).toBe('say [redacted]');
  expect(Buffer.from(withoutSecrets(other, said, 6)).toString()).toBe('say hu');
});
