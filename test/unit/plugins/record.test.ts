import { describe, expect, test } from 'vitest';
import { decodeRecord, encodeRecord, type StoredVersion } from '../../../src/plugins/record.ts';

const record: StoredVersion = {
  manifestText: '{"name": "echo", "description": "ü\\n"}',
  digest: `sha256:${'ab'.repeat(32)}`,
  sizeBytes: 5,
  functions: ['run', 'ö"'],
  otherFunctions: [],
  state: 'failed',
  failure: 'why not',
  createdMs: 1.5,
  updatedMs: 2,
};

describe('A record', () => {
  test('comes back as it was written', () => {
    expect(decodeRecord(encodeRecord(record))).toEqual(record);
  });

  test('is found damaged whichever byte of a value is changed', () => {
    const text = encodeRecord(record);
    for (let at = 0; at < text.length; at++) {
      const changed = `${text.slice(0, at)}${text[at] === 'x' ? 'y' : 'x'}${text.slice(at + 1)}`;
      // Blanks between values mean nothing.
      if (/\s/.test(text[at] ?? '') && parses(changed)) continue;
      expect(() => decodeRecord(changed), `byte ${at}`).toThrow();
    }
  });

  test('is found damaged when it is cut', () => {
    const text = encodeRecord(record).trimEnd();
    for (let length = 0; length < text.length; length += 7) expect(() => decodeRecord(text.slice(0, length))).toThrow();
  });

  test.each(['null', '[]', '{}', '{"checksum": "x"}', '"text"'])('is not %s', (text) => {
    expect(() => decodeRecord(text)).toThrow();
  });
});

function parses(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
