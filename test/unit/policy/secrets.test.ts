import { describe, expect, test } from 'vitest';
import { readSecret, secretBytesMax, type SecretReader } from '../../../src/policy/secrets.ts';

function readerOf(files: Readonly<Record<string, string>>, environment: Record<string, string> = {}): SecretReader {
  const missing = Object.assign(new Error('no such file'), { code: 'ENOENT' });
  const denied = Object.assign(new Error('permission denied'), { code: 'EACCES' });
  return {
    environment,
    readFile: async (path) => {
      if (path === '/denied') throw denied;
      const text = files[path];
      if (text === undefined) throw missing;
      return Buffer.from(text);
    },
  };
}

async function read(source: { env: string } | { file: string }, reader: SecretReader): Promise<string | undefined> {
  const bytes = await readSecret(source, reader);
  return bytes && Buffer.from(bytes).toString();
}

describe('readSecret', () => {
  test('reads variables, which may be empty or missing', async () => {
    const reader = readerOf({}, { KEY: 'gehéim\n', EMPTY: '' });
    expect(await read({ env: 'KEY' }, reader)).toBe('gehéim\n');
    expect(await read({ env: 'EMPTY' }, reader)).toBe('');
    expect(await read({ env: 'NONE' }, reader)).toBeUndefined();
  });

  test.each([
    ['secret', 'secret'],
    ['secret\n', 'secret'],
    ['secret\r\n', 'secret'],
    ['secret\n\n', 'secret\n'],
    ['\n', ''],
    ['', ''],
    ['a\r', 'a\r'],
  ])('reads the file %j as %j', async (text, expected) => {
    expect(await read({ file: '/f' }, readerOf({ '/f': text }))).toBe(expected);
  });

  test('has none where there is no file, and fails where it cannot be read', async () => {
    expect(await read({ file: '/none' }, readerOf({}))).toBeUndefined();
    await expect(read({ file: '/denied' }, readerOf({}))).rejects.toThrow('permission denied');
  });

  test('takes secrets up to a bound and says nothing of what is in longer ones', async () => {
    const fits = 's'.repeat(secretBytesMax);
    expect(await read({ file: '/f' }, readerOf({ '/f': fits }))).toBe(fits);
    expect(await read({ env: 'F' }, readerOf({}, { F: fits }))).toBe(fits);
    const message = `has ${secretBytesMax + 1} bytes, more than the ${secretBytesMax} allowed`;
    await expect(read({ file: '/f' }, readerOf({ '/f': `${fits}s` }))).rejects.toThrow(
      `The secret in file "/f" ${message}`,
    );
    await expect(read({ env: 'F' }, readerOf({}, { F: `${fits}s` }))).rejects.toThrow(
      `The secret in variable "F" ${message}`,
    );
  });
});
