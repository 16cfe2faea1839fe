import { describe, expect, test } from 'vitest';
import { hostMatches, hostPatternRefusal, hostsOverlap, isExactHost } from '../../../src/model/host-pattern.ts';

const forms = 'must be a host name, "*." and a host name, an IP address, or "*"';

describe('hostPatternRefusal', () => {
  test.each([
    '*',
    'example.com',
    'localhost',
    'a.b-c.example',
    'my_service',
    '*.example.com',
    'xn--bcher-kva.de',
    '127.0.0.1',
    '::1',
    'fe80::1',
    '::ffff:7f00:1',
    `${'a'.repeat(63)}.example`,
  ])('takes %j', (pattern) => {
    expect(hostPatternRefusal(pattern)).toBeUndefined();
  });

  test.each([
    ['', forms],
    ['https://example.com', `must be a host alone, without a scheme: ${forms}`],
    ['https://example.com:8080/x', `must be a host alone, without a scheme: ${forms}`],
    ['example.com/path', `must be a host alone, without a path: ${forms}`],
    ['example.com?q', `must be a host alone, without a path: ${forms}`],
    ['example.com\\x', `must be a host alone, without a path: ${forms}`],
    ['user@example.com', `must be a host alone, without a user: ${forms}`],
    ['example.com:443', `must be a host alone, without a port: ${forms}`],
    ['127.0.0.1:', `must be a host alone, without a port: ${forms}`],
    ['[::1]', `must be written without brackets: ${forms}`],
    ['[::1]:443', `must be written without brackets and without a port: ${forms}`],
    ['api.*', 'can have a "*" only alone, or at its beginning with a "." after it'],
    ['*example.com', 'can have a "*" only alone, or at its beginning with a "." after it'],
    ['*.*', 'can have a "*" only alone, or at its beginning with a "." after it'],
    ['*.', forms],
    ['Example.COM', 'must be written as URLs have it: "example.com"'],
    ['*.Example.com', 'must be written as URLs have it: "*.example.com"'],
    ['bücher.de', 'must be written as URLs have it: "xn--bcher-kva.de"'],
    ['example.com.', forms],
    ['.example.com', forms],
    ['a..b', forms],
    ['-a.example', forms],
    ['a-', forms],
    ['exa mple', forms],
    ['a%2eb', forms],
    ['a\nb', forms],
    // Other spellings of addresses, which URLs take and comparing texts would miss.
    ['127.1', 'must be written as URLs have it: "127.0.0.1"'],
    ['2130706433', 'must be written as URLs have it: "127.0.0.1"'],
    ['0x7f.0.0.1', 'must be written as URLs have it: "127.0.0.1"'],
    ['0177.0.0.1', 'must be written as URLs have it: "127.0.0.1"'],
    ['999.0.0.1', forms],
    ['*.1.2.3.4', forms],
    ['*.4', forms],
    ['0:0:0:0:0:0:0:1', 'must be written as URLs have it: "::1"'],
    ['::FFFF:127.0.0.1', 'must be written as URLs have it: "::ffff:7f00:1"'],
    ['fe80::1%eth0', forms],
    ['*.::1', forms],
    [`${'a.'.repeat(127)}aa`, forms],
  ])('refuses %j', (pattern, refusal) => {
    expect(hostPatternRefusal(pattern)).toBe(refusal);
  });
});

describe('hostMatches', () => {
  test.each([
    ['*', 'example.com', true],
    ['*', '127.0.0.1', true],
    ['example.com', 'example.com', true],
    ['example.com', 'www.example.com', false],
    ['*.example.com', 'www.example.com', true],
    ['*.example.com', 'a.b.example.com', true],
    ['*.example.com', 'example.com', false],
    ['*.example.com', '.example.com', false],
    ['*.example.com', 'badexample.com', false],
    ['*.example.com', 'example.com.evil.test', false],
    ['127.0.0.1', '127.0.0.1', true],
    ['127.0.0.1', '127.0.0.10', false],
    ['::1', '::1', true],
  ])('%j and %j: %j', (pattern, host, expected) => {
    expect(hostMatches(pattern, host)).toBe(expected);
  });
});

describe('hostsOverlap', () => {
  test.each([
    ['*', '*.example.com', true],
    ['a.example', 'a.example', true],
    ['a.example', 'b.example', false],
    ['*.example', 'a.example', true],
    ['*.example', 'example', false],
    ['*.b.example', '*.example', true],
    ['*.b.example', '*.c.example', false],
    ['*.example', '*.badexample', false],
  ])('%j and %j: %j, either way', (one, other, expected) => {
    expect(hostsOverlap(one, other)).toBe(expected);
    expect(hostsOverlap(other, one)).toBe(expected);
  });
});

test('isExactHost tells one host from patterns of many', () => {
  expect(['a.example', '::1', '*', '*.a.example'].map(isExactHost)).toEqual([true, true, false, false]);
});
