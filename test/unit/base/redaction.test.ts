import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { redact, redactedBytesMin, redactedValuesMax, Redactor } from '../../../src/base/redaction.ts';

function redactorOf(...values: readonly (string | Uint8Array)[]): Redactor {
  const redactor = new Redactor();
  for (const value of values) redactor.add(typeof value === 'string' ? Buffer.from(value) : value);
  return redactor;
}

const shown = (bytes: Uint8Array): string => Buffer.from(bytes).toString();

describe('Redacted text', () => {
  test.each([
    ['the key is hunter22.', 'the key is [redacted].'],
    ['hunter22', '[redacted]'],
    ['hunter22hunter22', '[redacted]'],
    ['hunter22 hunter22', '[redacted] [redacted]'],
    ['hunter2', 'hunter2'],
    ['', ''],
  ])('has every occurrence replaced: %j', (text, expected) => {
    expect(redact(text, ['hunter22'])).toBe(expected);
  });

  test('has nothing left of values that overlap', () => {
    expect(redact('-abcdefg-', ['abcde', 'cdefg'])).toBe('-[redacted]-');
    expect(redact('-abcdefg-', ['cdef', 'abcdefg'])).toBe('-[redacted]-');
    expect(redact('-aaaaaaa-', ['aaaa'])).toBe('-[redacted]-');
  });

  test('has values replaced from the shortest that is told on', () => {
    expect(redactedBytesMin).toBe(4);
    expect(redact('abc abcd', ['abc'])).toBe('abc abcd');
    expect(redact('abc abcd', ['abcd'])).toBe('abc [redacted]');
    expect(redact('éé', ['éé'])).toBe('[redacted]');
    expect(redact('text', [''])).toBe('text');
  });

  test('takes values for text, not for patterns', () => {
    expect(redact('a.*b$& x', ['.*b$'])).toBe('a[redacted]& x');
  });

  test('holds no value, whatever both are, unless the mark makes one', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'b', 'é') });
    const secret = fc.string({ unit: fc.constantFrom('a', 'b', 'é'), minLength: 4, maxLength: 6 });
    fc.assert(
      fc.property(text, fc.array(secret, { maxLength: 4 }), (text, secrets) => {
        const redacted = redact(text, secrets);
        for (const secret of secrets) expect(redacted).not.toContain(secret);
        if (secrets.every((secret) => !text.includes(secret))) expect(redacted).toBe(text);
      }),
    );
  });
});

describe('A redactor', () => {
  test('replaces the values that were added, in text and in bytes', () => {
    const redactor = redactorOf('hunter22', 'another');
    expect(redactor.text('hunter22, another')).toBe('[redacted], [redacted]');
    expect(shown(redactor.bytes(Buffer.from('hunter22, another')))).toBe('[redacted], [redacted]');
  });

  test('replaces values that are not UTF-8, in bytes and in what text makes of them', () => {
    const value = Uint8Array.of(0xff, 0x00, 0xfe, 0x80, 0x61);
    const redactor = redactorOf(value);
    expect(shown(redactor.bytes(Buffer.concat([Buffer.from('é '), value, Buffer.from(' é')])))).toBe('é [redacted] é');
    expect(redactor.text(`x ${Buffer.from(value).toString()} y`)).toBe('x [redacted] y');
  });

  test('gives back what holds no value', () => {
    const bytes = Buffer.from('nothing');
    expect(new Redactor().bytes(bytes)).toEqual(bytes);
    expect(redactorOf('abc', 'hunter22').bytes(bytes)).toEqual(bytes);
    expect(redactorOf('abc').text('abc')).toBe('abc');
  });

  test('shows no part of a value where bytes are cut', () => {
    const redactor = redactorOf('hunter22');
    const text = Buffer.from('0123456789hunter22 and hunter22');
    expect(shown(redactor.bytes(text, 10))).toBe('0123456789');
    for (let length = 11; length <= 18; length++) {
      expect(shown(redactor.bytes(text, length))).toBe('0123456789[redacted]');
    }
    expect(shown(redactor.bytes(text, 19))).toBe('0123456789[redacted] ');
    expect(shown(redactor.bytes(text, 24))).toBe('0123456789[redacted] and [redacted]');
    // Many values that become shorter must not let the end of the window come into sight.
    const many = redactorOf('v'.repeat(100));
    expect(shown(many.bytes(Buffer.from(`${'v'.repeat(100)}${' '.repeat(10)}${'v'.repeat(99)}`), 110))).toBe(
      `[redacted]${' '.repeat(10)}`,
    );
  });

  test('tells as many values apart as its bound, and with one more lets nothing through', () => {
    const redactor = new Redactor();
    const add = (index: number): void => redactor.add(Buffer.from(`value ${index};`));
    for (let index = 0; index < redactedValuesMax; index++) add(index);
    add(0);
    redactor.add(Buffer.from('abc'));
    expect(redactor.text('plain, value 255;')).toBe('plain, [redacted]');
    add(redactedValuesMax);
    expect(redactor.text('plain')).toBe('[redacted]');
    expect(shown(redactor.bytes(Buffer.from('plain')))).toBe('[redacted]');
  });
});
