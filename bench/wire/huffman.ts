/**
 * The Huffman code of HPACK (RFC 7541, appendix B), as far as it is needed to read
 * the trailers of a server. The code is canonical, so that the lengths of its words
 * say everything.
 */

/** Bits of the word of each byte, in base 36. */
const lengthOf =
  'dnsssssssoussussssssssusssssssss6aacd68baa8b8666555666666678f6cad67777777777777777777777878djde6f565656665776665' +
  '67655677777fbedskmkkmmmnmnnnnnonoomnonnnnlmnmnnomlkmmnnlnmmolmnnllmlnmnnkmmmnmmnqqkjmnmpqqqrrqopjlqrrqrollqqsrrr' +
  'koklmllnmmppooqnqrqqrrrrrsrrrrrq';

const bitsOf = Array.from(lengthOf, (digit) => Number.parseInt(digit, 36));

interface Length {
  /** The word of the first byte with this length. */
  readonly first: number;
  readonly bytes: readonly number[];
}

const bitsMax = 30;
const lengths = codeWords();

function codeWords(): readonly Length[] {
  const byLength: Length[] = [];
  let word = 0;
  for (let bits = 0; bits <= bitsMax; bits++) {
    const bytes = bitsOf.flatMap((ofByte, byte) => (ofByte === bits ? [byte] : []));
    byLength.push({ first: word, bytes });
    word = (word + bytes.length) * 2;
  }
  return byLength;
}

/** The text that the bytes stand for; bits of the padding are left out. */
export function decodeHuffman(coded: Uint8Array): string {
  const bytes: number[] = [];
  let word = 0;
  let bits = 0;
  for (const byte of coded) {
    for (let bit = 7; bit >= 0; bit--) {
      word = word * 2 + ((byte >> bit) & 1);
      bits++;
      const found = lengths[bits]?.bytes[word - (lengths[bits]?.first ?? 0)];
      if (found === undefined) continue;
      bytes.push(found);
      word = 0;
      bits = 0;
    }
  }
  return Buffer.from(bytes).toString('latin1');
}
