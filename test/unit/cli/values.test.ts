import { describe, expect, test } from 'vitest';
import {
  collectPair,
  hostPortText,
  parseAddress,
  parseDuration,
  parseHostPort,
  parseListener,
  parseSeed,
  parseSize,
  parseTenant,
  wholeNumber,
} from '../../../src/cli/values.ts';

describe('parseSize', () => {
  test.each([
    ['0', 0],
    ['4096', 4_096],
    ['1B', 1],
    ['64MiB', 67_108_864],
    ['64 mib', 67_108_864],
    ['1.5KiB', 1_536],
    ['2MB', 2_000_000],
    ['1GiB', 1_073_741_824],
  ])('reads %s', (text, bytes) => {
    expect(parseSize(text)).toBe(bytes);
  });

  test.each(['', 'MiB', '-1', '1 Mi', '1e3', '1.MiB', '0x10', '99999999GiB', '1  MiB'])('refuses %j', (text) => {
    expect(() => parseSize(text)).toThrow();
  });
});

describe('parseDuration', () => {
  test.each([
    ['10s', 10_000],
    ['250ms', 250],
    ['1.5m', 90_000],
    ['2min', 120_000],
    ['1H', 3_600_000],
    ['0.4ms', 0],
  ])('reads %s', (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
  });

  test.each(['', '10', 's', '-1s', '1d', '1s2', '9999999999999h'])('refuses %j', (text) => {
    expect(() => parseDuration(text)).toThrow();
  });
});

describe('wholeNumber', () => {
  test('reads the bounds and refuses what is beyond them', () => {
    const read = wholeNumber(1, 3);
    expect([read('1'), read('3')]).toEqual([1, 3]);
    for (const text of ['0', '4', '1.5', '', '-1', 'x', '1e0']) expect(() => read(text), text).toThrow('from 1 to 3');
  });
});

describe('collectPair', () => {
  test('keeps everything after the first equals sign', () => {
    expect(collectPair('a==b=', new Map([['z', '']]))).toEqual(
      new Map([
        ['z', ''],
        ['a', '=b='],
      ]),
    );
  });

  test.each(['a', '=b', ''])('refuses %j', (text) => {
    expect(() => collectPair(text)).toThrow('key=value');
  });

  test('refuses a key for the second time', () => {
    expect(() => collectPair('a=2', new Map([['a', '1']]))).toThrow('"a" is given twice');
  });
});

describe('addresses', () => {
  test.each([
    ['127.0.0.1:50051', '127.0.0.1', 50_051],
    ['[::1]:0', '::1', 0],
    ['host.example:65535', 'host.example', 65_535],
  ])('%s is read and written the same', (text, host, port) => {
    expect(parseHostPort(text)).toEqual({ host, port });
    expect(hostPortText({ host, port })).toBe(text);
  });

  test.each(['', 'host', ':50051', 'host:', 'host:65536', '::1:50051', '[::1]', 'a b:1', 'host:1:2'])(
    '%j is refused',
    (text) => {
      expect(() => parseHostPort(text)).toThrow();
    },
  );

  test('a listener can be off', () => {
    expect(parseListener('off')).toBe('off');
    expect(parseListener('localhost:1')).toEqual({ host: 'localhost', port: 1 });
  });

  test('a server is host:port or a socket', () => {
    expect(parseAddress('unix:/run/x.sock')).toBe('unix:/run/x.sock');
    expect(parseAddress('[::1]:5')).toBe('[::1]:5');
    for (const text of ['unix:', 'http://x:1/', '50051']) expect(() => parseAddress(text), text).toThrow('unix:/path');
  });
});

describe('seeds', () => {
  test.each([
    ['0x00ff', [0, 255]],
    ['0xABcd', [0xab, 0xcd]],
    ['0xabc', [...Buffer.from('0xabc')]],
    ['0x', [...Buffer.from('0x')]],
    ['salt', [...Buffer.from('salt')]],
    ['ä', [0xc3, 0xa4]],
  ])('%s is read as hex or as text', (text, bytes) => {
    expect([...parseSeed(text)]).toEqual(bytes);
  });
});

describe('tenants', () => {
  test('have names of a form', () => {
    expect(parseTenant('acme-2')).toBe('acme-2');
    for (const text of ['', 'Acme', '-a', 'a'.repeat(64)])
      expect(() => parseTenant(text), text).toThrow('A tenant must');
  });
});
