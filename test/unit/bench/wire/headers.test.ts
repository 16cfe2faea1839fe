import { describe, expect, test } from 'vitest';
import { readStatus } from '../../../../bench/wire/grpc-status.ts';
import { decodeHeaders, encodeHeaders } from '../../../../bench/wire/header-block.ts';
import { decodeHuffman } from '../../../../bench/wire/huffman.ts';

// Examples of RFC 7541, appendix C.
test.each([
  ['f1e3c2e5f23a6ba0ab90f4ff', 'www.example.com'],
  ['a8eb10649cbf', 'no-cache'],
  ['6402', '302'],
  ['d07abe941054d444a8200595040b8166e082a62d1bff', 'Mon, 21 Oct 2013 20:13:21 GMT'],
])('Huffman code %s is "%s"', (hex, text) => {
  expect(decodeHuffman(Buffer.from(hex, 'hex'))).toBe(text);
});

describe('A block of headers', () => {
  test('reads as it was written', () => {
    const headers = [
      [':path', '/caisson.v1.ExecutionService/Execute'],
      ['te', 'trailers'],
      ['long', 'x'.repeat(1_000)],
    ] as const;
    expect([...decodeHeaders(encodeHeaders(headers))]).toEqual(headers);
  });

  test('of a server reads whatever form its literals have', () => {
    // A size update, an indexed field, a literal with a name of the static table, and one with indexing.
    const block = Buffer.concat([
      Buffer.of(0x20, 0x88, 0x0f, 0x10, 2),
      Buffer.from('ab'),
      Buffer.of(0x40, 0x81, 0x1f, 0x01, 0x39),
    ]);
    expect([...decodeHeaders(block)]).toEqual([
      ['#8', ''],
      ['#31', 'ab'],
      ['a', '9'],
    ]);
  });
});

describe('The status of a call', () => {
  test('is in its trailers, the message in percent form', () => {
    const block = encodeHeaders([
      ['grpc-status', '8'],
      ['grpc-message', 'full%3A 100 %25'],
    ]);
    expect(readStatus(block)).toEqual({ code: 8, message: 'full: 100 %' });
    expect(readStatus(block)).toEqual({ code: 8, message: 'full: 100 %' });
  });

  test('is UNKNOWN if the trailers have none', () => {
    expect(readStatus(encodeHeaders([['x', 'y']])).code).toBe(2);
  });
});
