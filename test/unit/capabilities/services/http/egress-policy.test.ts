import { describe, expect, test } from 'vitest';
import {
  addressesMax,
  allowingTargets,
  judgeAddresses,
} from '../../../../../src/capabilities/services/http/egress-policy.ts';
import { readPlace } from '../../../../../src/capabilities/services/http/place.ts';
import { HttpDenial } from '../../../../../src/capabilities/services/http/refusals.ts';
import type { Grant, HttpGrant, HttpTarget } from '../../../../../src/model/grant.ts';
import { askingRun, target } from './asking.ts';

const request = (url: string, method = 'GET') => ({ place: readPlace(url), method });

const granted = (http: Partial<HttpGrant>): Grant => askingRun(http).grant;

describe('A pattern', () => {
  const isCovered = (pattern: string, host: string): boolean => {
    const place = readPlace(`http://${host}/`);
    try {
      allowingTargets({ place, method: 'GET' }, granted({ askedHosts: [pattern], targets: [target('*', undefined)] }));
      allowingTargets({ place, method: 'GET' }, granted({ askedHosts: ['*'], targets: [target(pattern, undefined)] }));
      return true;
    } catch (error) {
      expect(error).toBeInstanceOf(HttpDenial);
      return false;
    }
  };

  test.each([
    ['good.test', 'good.test', true],
    ['good.test', 'GOOD.test.', true],
    ['good.test', 'sub.good.test', false],
    ['good.test', 'good.test.evil.test', false],
    ['good.test', 'evilgood.test', false],
    ['*.good.test', 'sub.good.test', true],
    ['*.good.test', 'a.b.good.test', true],
    ['*.good.test', 'good.test', false],
    ['*.good.test', 'evilgood.test', false],
    ['*.1', '127.0.0.1', false],
    ['*.0.0.1', '127.0.0.1', false],
    ['*', 'good.test', true],
    ['*', '8.8.8.8', true],
    ['8.8.8.8', '8.8.8.8', true],
    ['8.8.8.8', '134744072', true],
    ['8.8.8.8', '8.8.4.4', false],
    ['2606:4700::1111', '[2606:4700:0::1111]', true],
    ['**', 'good.test', false],
    ['*good.test', 'good.test', false],
    ['g?od.test', 'good.test', false],
    ['{good,evil}.test', 'good.test', false],
    ['!evil.test', 'good.test', false],
  ])('"%s" covers %s: %s', (pattern, host, covers) => {
    expect(isCovered(pattern, host)).toBe(covers);
  });
});

describe('A request', () => {
  const targets: readonly HttpTarget[] = [
    target('good.test', undefined, { scheme: 'https', methods: ['GET', 'HEAD'], rule: 'reading' }),
    target('good.test', 8080, { scheme: '*', rule: 'anything' }),
    target('*.wide.test', undefined, { scheme: '*', rule: 'wide' }),
  ];
  const grant = granted({ targets });

  test.each([
    ['https://good.test/', 'GET', ['reading']],
    ['https://good.test:443/', 'HEAD', ['reading']],
    ['http://good.test:8080/', 'DELETE', ['anything']],
    ['https://good.test:8080/', 'GET', ['anything']],
    ['http://a.wide.test/', 'GET', ['wide']],
    ['https://a.wide.test/', 'GET', ['wide']],
  ])('to %s by %s is allowed by %j', (url, method, rules) => {
    expect(allowingTargets(request(url, method), grant).map(({ rule }) => rule)).toEqual(rules);
  });

  test.each([
    ['https://good.test/', 'POST'],
    ['https://good.test/', 'GETS'],
    ['http://good.test/', 'GET'],
    ['http://good.test:443/', 'GET'],
    ['https://good.test:8443/', 'GET'],
    ['http://a.wide.test:8080/', 'GET'],
    ['http://a.wide.test:443/', 'GET'],
    ['http://wide.test/', 'GET'],
    ['http://other.test/', 'GET'],
  ])('to %s by %s is denied', (url, method) => {
    expect(() => allowingTargets(request(url, method), grant)).toThrow(HttpDenial);
  });

  test('is denied with what was asked, who refuses, and the line to add', () => {
    expect(() =>
      allowingTargets(request('https://x.test/secret?q', 'PUT'), granted({ targets, askedHosts: [] })),
    ).toThrow(
      /^The manifest does not ask for http PUT to "https:\/\/x.test:443": add to the manifest "allowed_hosts": \["x.test"\]$/,
    );
    expect(() => allowingTargets(request('https://x.test/secret?q', 'PUT'), grant)).toThrow(
      'The policy does not allow http PUT to "https://x.test:443" (rules considered: "reading", "anything", "wide"): ' +
        'add {"host":"x.test","methods":["PUT"]} to "http.targets" of a rule for tenant "acme" and plugin "fake"',
    );
    expect(() => allowingTargets(request('https://x.test/'), granted({ targets: [] }))).toThrow(
      'to "https://x.test:443" (no rule has an http target)',
    );
  });

  test('is denied with where it was redirected from', () => {
    const redirectedFrom = readPlace('https://good.test/secret');
    expect(() => allowingTargets({ ...request('https://x.test/'), redirectedFrom }, grant)).toThrow(
      'http GET to "https://x.test:443", to which "https://good.test:443" redirects',
    );
  });

  test('is denied with a few of many rules', () => {
    const many = Array.from({ length: 6 }, (_, at) => target('good.test', 1, { rule: `r${at}` }));
    expect(() => allowingTargets(request('http://good.test/'), granted({ targets: many.slice(0, 5) }))).toThrow(
      '(rules considered: "r0", "r1", "r2", "r3", "r4")',
    );
    expect(() => allowingTargets(request('http://good.test/'), granted({ targets: many }))).toThrow(
      '(rules considered: "r0", "r1", "r2", "r3", "r4" and others)',
    );
  });

  test('is denied by the manifest and by the policy alike', () => {
    const askedHosts = ['good.test', '*.wide.test'];
    const asked = granted({ targets, askedHosts });
    expect(() => allowingTargets(request('https://good.test/'), asked)).not.toThrow();
    expect(() => allowingTargets(request('https://a.wide.test/'), granted({ targets: [], askedHosts }))).toThrow(
      /^The policy/,
    );
    expect(() => allowingTargets(request('https://b.test/'), asked)).toThrow(/^The manifest/);
  });
});

describe('An address behind a host', () => {
  const asked = request('http://good.test/');
  const shut = [target('good.test', 80, { isPrivateAllowed: false })];
  const open = [...shut, target('good.test', 80)];
  const judge =
    (addresses: readonly string[], targets: readonly HttpTarget[], from = asked) =>
    () =>
      judgeAddresses(from, addresses, targets, granted({}));

  test('may be public', () => {
    expect(judge(['8.8.8.8', '2606:4700::1111'], shut)).not.toThrow();
  });

  test('may be private only if a target that allows the request says so', () => {
    expect(judge(['10.0.0.1', '::1', 'fd00::1'], open)).not.toThrow();
    expect(judge(['10.0.0.1'], shut)).toThrow(
      'The policy does not allow http GET to "http://good.test:80", whose host leads to an address that is not public ' +
        '(rules considered: "test-rule"): add {"host":"good.test","scheme":"http","methods":["GET"],"private":true} ' +
        'to "http.targets" of a rule for tenant "acme" and plugin "fake"',
    );
  });

  test('is never private under a pattern, whatever the policy says', () => {
    expect(judge(['10.0.0.1'], [target('*', 80)])).toThrow(HttpDenial);
    expect(judge(['10.0.0.1'], [target('*.test', 80)])).toThrow(HttpDenial);
    expect(judge(['10.0.0.1'], [target('*', 80), target('good.test', 80)])).not.toThrow();
  });

  test('denies all if one is private', () => {
    expect(judge(['8.8.8.8', '10.0.0.1'], shut)).toThrow(HttpDenial);
    expect(judge(['10.0.0.1', '8.8.8.8'], shut)).toThrow(HttpDenial);
  });

  test('that hands out credentials must be named itself', () => {
    const metadata = request('http://169.254.169.254/');
    expect(judge(['169.254.169.254'], open)).toThrow(/for which a target must name the address itself/);
    expect(judge(['169.254.169.254'], [target('*', 80)], metadata)).toThrow(HttpDenial);
    expect(judge(['169.254.169.254'], [target('169.254.169.254', 80)], metadata)).not.toThrow();
    expect(judge(['169.254.169.254'], [target('169.254.169.254', 80, { isPrivateAllowed: false })], metadata)).toThrow(
      HttpDenial,
    );
  });

  test('is never one that hides another, even if it is named', () => {
    const mapped = request('http://[::ffff:10.0.0.1]/');
    expect(judge([mapped.place.host], [target(mapped.place.host, 80)], mapped)).toThrow(/^No policy can allow/);
  });

  test('is never told', () => {
    for (const address of ['10.1.2.3', '169.254.169.254', '0.0.0.0']) {
      expect(judge([address], shut)).toThrow(
        expect.not.objectContaining({ message: expect.stringContaining(address) }),
      );
    }
  });

  test('is one of a bounded number', () => {
    const addresses = Array.from({ length: addressesMax + 1 }, (_, at) => `8.8.8.${at}`);
    expect(judge(addresses.slice(1), shut)).not.toThrow();
    expect(judge(addresses, shut)).toThrow(`more than ${addressesMax} addresses`);
  });
});
