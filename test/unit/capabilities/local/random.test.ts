import { createCipheriv, createHash } from 'node:crypto';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { randomAnswers, randomStream } from '../../../../src/capabilities/local/random.ts';
import { fixedLimits } from '../../../../src/model/limits.ts';

const none = new Uint8Array();

describe('The random stream of a seed', () => {
  test('is AES-256 in counter mode, keyed by the SHA-256 of the seed', () => {
    const seed = Buffer.from('some seed');
    const key = createHash('sha256').update(seed).digest();
    const expected = createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(100));
    expect(Buffer.from(randomStream(seed)(100))).toEqual(expected);
  });

  test('stays what it was', () => {
    expect(Buffer.from(randomStream(Uint8Array.of(0))(8)).toString('hex')).toMatchInlineSnapshot(`"b6e601deddb2cf24"`);
  });

  test('is the same in whatever pieces it is drawn', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 1, maxLength: 64 }),
        fc.array(fc.nat(100), { maxLength: 20 }),
        (seed, lengths) => {
          const [whole, inPieces] = [randomStream(seed), randomStream(seed)];
          const pieces = Buffer.concat(lengths.map((length) => inPieces(length)));
          expect(pieces).toEqual(Buffer.from(whole(pieces.length)));
        },
      ),
    );
  });

  test('is another for another seed', () => {
    expect(randomStream(Uint8Array.of(1))(16)).not.toEqual(randomStream(Uint8Array.of(2))(16));
    expect(randomStream(Uint8Array.of(0))(16)).not.toEqual(randomStream(Uint8Array.of(0, 0))(16));
  });
});

describe('The random stream without a seed', () => {
  test('is another each time, and of the length asked for', () => {
    expect(randomStream(none)(16)).not.toEqual(randomStream(none)(16));
    expect(randomStream(none)(0)).toHaveLength(0);
    expect(randomStream(none)(1_000)).toHaveLength(1_000);
  });
});

describe('The answer to random.bytes', () => {
  const request = (length: number): Uint8Array => {
    const bytes = Buffer.alloc(6);
    bytes.writeUInt32LE(length, 2);
    return bytes.subarray(2);
  };

  test('holds as many bytes as the bound, but no more', () => {
    const answers = randomAnswers(randomStream(Uint8Array.of(1)));
    const { code, payload } = answers['random.bytes'](request(fixedLimits.randomBytes));
    expect([code, payload.length]).toEqual([0, fixedLimits.randomBytes]);
    expect(() => answers['random.bytes'](request(fixedLimits.randomBytes + 1))).toThrow('Assertion failed');
  });
});
