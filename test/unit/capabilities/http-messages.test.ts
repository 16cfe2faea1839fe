import { describe, expect, test } from 'vitest';
import {
  httpRequestLimits,
  httpRequestText,
  joinHttpAnswer,
  readHttpRequest,
  splitHttpAnswer,
} from '../../../src/capabilities/http-messages.ts';
import { joinParts } from '../../../src/capabilities/parts.ts';

const read = (value: unknown) =>
  readHttpRequest(Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)));
const url = 'https://good.test/';

/** An object with one more header for each of the counts' units. */
const headersOf = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, at) => [`h${at}`, '']));

describe('A request', () => {
  test.each([
    ['a URL alone', { url }, 'GET', []],
    ['what PDKs send for nothing', { url, method: null, headers: null, header: null }, 'GET', []],
    ['a method in lower case', { url, method: 'post' }, 'POST', []],
    ['a method of its own', { url, method: 'M-SEARCH' }, 'M-SEARCH', []],
    [
      'headers',
      { url, headers: { 'X-A': ' b c\t', empty: '' } },
      'GET',
      [
        ['x-a', 'b c'],
        ['empty', ''],
      ],
    ],
    ['headers under their other name', { url, header: { a: 'b' } }, 'GET', [['a', 'b']]],
    [
      'a header of every character a name may have',
      { url, headers: { "!#$%&'*+-.^_`|~09az": '~ !' } },
      'GET',
      [["!#$%&'*+-.^_`|~09az", '~ !']],
    ],
    ['fields that nobody knows', { url, proxy: 'http://evil.test' }, 'GET', []],
  ])('with %s is read', (_what, value, method, headers) => {
    const request = read(value);
    expect(request).toEqual({ url, method, headers: new Map(headers as [string, string][]) });
    expect(readHttpRequest(Buffer.from(httpRequestText(request as never)))).toEqual(request);
  });

  test('with a header named like a property of every object is read', () => {
    const request = read(`{"url":"${url}","headers":{"__proto__":"a","constructor":"b"}}`);
    expect(request).toMatchObject({
      headers: new Map([
        ['__proto__', 'a'],
        ['constructor', 'b'],
      ]),
    });
    expect(readHttpRequest(Buffer.from(httpRequestText(request as never)))).toEqual(request);
  });

  test.each([
    ['', /not a JSON object/],
    ['null', /not a JSON object/],
    ['[]', /not a JSON object/],
    ['"http://good.test/"', /not a JSON object/],
    ['{"url":"x"', /not a JSON object/],
    [{}, /no "url"/],
    [{ url: 5 }, /no "url"/],
    [{ url: null }, /no "url"/],
    [{ url, method: 5 }, /"method"/],
    [{ url, method: '' }, /"method"/],
    [{ url, method: 'GET /' }, /"method"/],
    [{ url, method: 'GET\r\nx:' }, /"method"/],
    [{ url, method: 'GÉT' }, /"method"/],
    [{ url, headers: [] }, /"headers" that are not/],
    [{ url, headers: 'a: b' }, /"headers" that are not/],
    [{ url, headers: { a: 'b' }, header: { a: 'b' } }, /both "headers" and "header"/],
    [{ url, headers: { a: 1 } }, /header "a" whose value is not text/],
    [{ url, headers: { a: null } }, /header "a" whose value is not text/],
    [{ url, headers: { a: ['b'] } }, /header "a" whose value is not text/],
    [{ url, headers: { '': 'b' } }, /header "" whose name is not a token/],
    [{ url, headers: { 'a b': 'b' } }, /header "a b" whose name is not a token/],
    [{ url, headers: { 'a:': 'b' } }, /header "a:" whose name is not a token/],
    [{ url, headers: { 'a\r\nhost': 'b' } }, /header "a\\u000d\\u000ahost" whose name is not a token/],
    [{ url, headers: { ä: 'b' } }, /whose name is not a token/],
    [{ url, headers: { a: 'b\r\nhost: evil.test' } }, /header "a" whose value holds/],
    [{ url, headers: { a: 'b\n' } }, /header "a" whose value holds/],
    [{ url, headers: { a: 'b\0' } }, /header "a" whose value holds/],
    [{ url, headers: { a: 'ä' } }, /header "a" whose value holds/],
    [{ url, headers: { a: '\u010a\u010d' } }, /header "a" whose value holds/],
    [{ url, headers: { A: 'b', a: 'c' } }, /header "a" twice/],
  ])('%j is refused', (value, problem) => {
    expect(read(value)).toMatch(problem);
  });

  test('that is not UTF-8 is refused', () => {
    expect(readHttpRequest(new Uint8Array([0x7b, 0xff, 0x7d]))).toBe('The request is not UTF-8 text');
  });

  test('has a bounded number of bytes', () => {
    const { textBytes } = httpRequestLimits;
    const sized = (bytes: number) => `{"url":"${'x'.repeat(bytes - 10)}"}`;
    expect(Buffer.byteLength(sized(textBytes))).toBe(textBytes);
    expect(read(sized(textBytes))).toMatchObject({ method: 'GET' });
    expect(read(sized(textBytes + 1))).toBe('The request has 65537 bytes of JSON, more than 65536');
  });

  test('has a method of bounded length', () => {
    const { methodLength } = httpRequestLimits;
    expect(read({ url, method: 'M'.repeat(methodLength) })).toMatchObject({ method: 'M'.repeat(methodLength) });
    expect(read({ url, method: 'M'.repeat(methodLength + 1) })).toMatch(/at most 32 characters/);
  });

  test('has a bounded number of headers', () => {
    const { headers } = httpRequestLimits;
    expect(read({ url, headers: headersOf(headers) })).toMatchObject({
      headers: expect.objectContaining({ size: headers }),
    });
    expect(read({ url, headers: headersOf(headers + 1) })).toBe('The request has 65 headers, more than 64');
  });

  test('has headers of bounded bytes', () => {
    const { headerBytes } = httpRequestLimits;
    const sized = (bytes: number) => ({ url, headers: { ab: 'x'.repeat(100), cd: 'x'.repeat(bytes - 104) } });
    expect(read(sized(headerBytes))).toMatchObject({ method: 'GET' });
    expect(read(sized(headerBytes + 1))).toBe('The request has 16385 bytes of headers, more than 16384');
  });

  test('with a header name too long for a message has it cut', () => {
    expect(read({ url, headers: { [' '.repeat(1_000)]: '' } })).toBe(
      `The request has a header "${' '.repeat(64)}" whose name is not a token`,
    );
  });
});

describe('An answer', () => {
  test.each([100, 200, 255, 256, 999])('with status %i is taken apart as it was joined', (status) => {
    const answer = { status, headers: Buffer.from('{}'), body: Uint8Array.of(1, 2) };
    const split = splitHttpAnswer(joinHttpAnswer(answer));
    expect(split.status).toBe(status);
    expect(Buffer.from(split.headers).toString()).toBe('{}');
    expect([...split.body]).toEqual([1, 2]);
  });

  test('is nothing else', () => {
    expect(() => splitHttpAnswer(joinParts(new Uint8Array(2), '{}'))).toThrow(RangeError);
    expect(() => splitHttpAnswer(joinParts(new Uint8Array(3), '{}', ''))).toThrow(RangeError);
  });
});
