import { describe, expect, test } from 'vitest';
import {
  followPlace,
  hostHeader,
  isSameOrigin,
  readPlace,
} from '../../../../../src/capabilities/services/http/place.ts';
import { HttpFailure } from '../../../../../src/capabilities/services/http/refusals.ts';

const label = 'a'.repeat(63);
const longestHost = `${label}.${label}.${label}.${'a'.repeat(61)}`;

describe('A URL', () => {
  test.each([
    ['http://Good.Test/', 'http', 'good.test', 80, '/'],
    ['HTTPS://good.test', 'https', 'good.test', 443, '/'],
    ['https://good.test:443/x?y#z', 'https', 'good.test', 443, '/x?y'],
    ['http://good.test:443/', 'http', 'good.test', 443, '/'],
    ['http://good.test./', 'http', 'good.test', 80, '/'],
    ['http://good.test:/', 'http', 'good.test', 80, '/'],
    ['http://good.test:65535/', 'http', 'good.test', 65_535, '/'],
    ['http://ｇｏｏｄ。test/', 'http', 'good.test', 80, '/'],
    ['http://bücher.test/', 'http', 'xn--bcher-kva.test', 80, '/'],
    ['http://under_score.test/', 'http', 'under_score.test', 80, '/'],
    ['http://%67ood.test/', 'http', 'good.test', 80, '/'],
    ['http://127.1/', 'http', '127.0.0.1', 80, '/'],
    ['http://[0:0::1]:8080/', 'http', '::1', 8080, '/'],
    ['http://good.test/a/../b/%0d%0a?c d', 'http', 'good.test', 80, '/b/%0d%0a?c%20d'],
    [`http://${longestHost}/`, 'http', longestHost, 80, '/'],
  ])('%s is taken apart', (text, scheme, host, port, path) => {
    expect(readPlace(text)).toMatchObject({ scheme, host, port, path });
  });

  test.each([
    ['', /not valid/],
    ['good.test', /not valid/],
    ['//good.test/', /not valid/],
    ['http://', /not valid/],
    ['http://good.test:65536/', /not valid/],
    ['http://good.test:-1/', /not valid/],
    ['http://[fe80::1%25eth0]/', /not valid/],
    ['http://[::1/', /not valid/],
    ['http://a b/', /not valid/],
    ['http://good.test%00/', /not valid/],
    ['http://1.2.3.4.5/', /not valid/],
    ['http://256.0.0.1/', /not valid/],
    ['http://good.test:0/', /port 0/],
    ['http://user@good.test/', /user name or password/],
    ['http://:password@good.test/', /user name or password/],
    ['http://@good.test/', /unusual/],
    ['http:good.test', /unusual/],
    ['http:/good.test', /unusual/],
    ['http:///good.test', /unusual/],
    [' http://good.test/', /unusual/],
    ['http://go\tod.test/', /control character/],
    ['http://good.test/\r\nx: y', /control character/],
    ['http:\\\\good.test/', /backslash/],
    ['http://good.test\\@evil.test/', /backslash/],
    ['http://./', /no host name/],
    ['http://good.test../', /no host name/],
    ['http://good..test/', /no host name/],
    ['http://.good.test/', /no host name/],
    ['http://*.good.test/', /no host name/],
    [`http://${label}a.test/`, /no host name/],
    [`http://${longestHost}a/`, /no host name/],
    ['ftp://good.test/', /scheme "ftp"/],
    ['file:///etc/passwd', /scheme "file"/],
    ['data:text/plain,x', /scheme "data"/],
    ['ws://good.test/', /scheme "ws"/],
    ['gopher://good.test/', /scheme "gopher"/],
    ['javascript:alert(1)', /scheme "javascript"/],
    ['blob:http://good.test/x', /scheme "blob"/],
    ['unix:/var/run/docker.sock', /scheme "unix"/],
  ])('%s is refused', (text, message) => {
    expect(() => readPlace(text)).toThrow(HttpFailure);
    expect(() => readPlace(text)).toThrow(message);
  });
});

describe('A Location', () => {
  const from = readPlace('https://good.test:8443/a/b?c');

  test.each([
    ['/x', 'https://good.test:8443', '/x'],
    ['x', 'https://good.test:8443', '/a/x'],
    ['', 'https://good.test:8443', '/a/b?c'],
    ['?d', 'https://good.test:8443', '/a/b?d'],
    ['//other.test/x', 'https://other.test:443', '/x'],
    ['http://other.test:8443/', 'http://other.test:8443', '/'],
    ['https:x', 'https://good.test:8443', '/a/x'],
    ['/a b', 'https://good.test:8443', '/a%20b'],
  ])('"%s" leads on', (location, origin, path) => {
    expect(followPlace(location, from)).toMatchObject({ origin, path });
  });

  test.each([
    ['//user@other.test/', /user name/],
    ['\\\\other.test/', /backslash/],
    ['/\t/other.test/', /control character/],
    ['file:///etc/passwd', /scheme "file"/],
    ['//[::1%25lo]/', /not valid/],
    ['//other.test:0/', /port 0/],
  ])('"%s" is refused', (location, message) => {
    expect(() => followPlace(location, from)).toThrow(message);
  });

  test('to another scheme, host or port is another origin', () => {
    const same = readPlace('https://GOOD.test.:8443/other');
    expect(isSameOrigin(from, same)).toBe(true);
    for (const other of ['http://good.test:8443/', 'https://good.test/', 'https://sub.good.test:8443/']) {
      expect(isSameOrigin(from, readPlace(other))).toBe(false);
    }
  });
});

test('The header Host has a port only if it is not the scheme’s own, and brackets where they belong', () => {
  expect(hostHeader(readPlace('http://good.test./'))).toBe('good.test');
  expect(hostHeader(readPlace('https://good.test:80/'))).toBe('good.test:80');
  expect(hostHeader(readPlace('http://[::1]/'))).toBe('[::1]');
  expect(hostHeader(readPlace('http://[::1]:8080/'))).toBe('[::1]:8080');
});
