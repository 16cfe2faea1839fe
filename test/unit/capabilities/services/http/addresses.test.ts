import { describe, expect, test } from 'vitest';
import {
  type AddressKind,
  addressKind,
  isSameAddress,
} from '../../../../../src/capabilities/services/http/addresses.ts';

/** First and last addresses of ranges, and their neighbours where those are of another kind. */
const kinds: readonly (readonly [AddressKind, readonly string[]])[] = [
  [
    'public',
    [
      '1.1.1.1',
      '8.8.8.8',
      '9.255.255.255',
      '11.0.0.0',
      '100.63.255.255',
      '100.128.0.0',
      '126.255.255.255',
      '128.0.0.0',
      '169.253.255.255',
      '169.255.0.0',
      '172.15.255.255',
      '172.32.0.0',
      '192.167.255.255',
      '192.169.0.0',
      '198.17.255.255',
      '198.20.0.0',
      '223.255.255.255',
      '2606:4700::1111',
      '2a00:1450:4001::200e',
      '64:ff9b::808:808',
    ],
  ],
  [
    'private',
    [
      '10.0.0.0',
      '10.255.255.255',
      '100.64.0.0',
      '100.127.255.255',
      '127.0.0.0',
      '127.0.0.1',
      '127.255.255.255',
      '172.16.0.0',
      '172.31.255.255',
      '192.168.0.0',
      '192.168.255.255',
      '192.0.0.1',
      '192.0.2.0',
      '192.88.99.1',
      '198.18.0.0',
      '198.19.255.255',
      '198.51.100.7',
      '203.0.113.255',
      '240.0.0.0',
      '255.255.255.254',
      '::1',
      'fc00::',
      'fdff:ffff::1',
      'fec0::1',
      '100::1',
      '2001:2::1',
      '2001:db8::1',
      '3fff::1',
      '5f00::1',
    ],
  ],
  [
    'metadata',
    [
      '169.254.0.0',
      '169.254.169.254',
      '169.254.170.2',
      '169.254.255.255',
      '100.100.100.200',
      '168.63.129.16',
      '192.0.0.192',
      'fd00:ec2::254',
      'fd00:ec2::23',
      'fd20:ce::254',
      'fe80::',
      'febf::1',
    ],
  ],
  [
    'never',
    [
      '0.0.0.0',
      '0.255.255.255',
      '224.0.0.0',
      '239.255.255.255',
      '255.255.255.255',
      '::',
      '::7f00:1',
      '::ffff:127.0.0.1',
      '::ffff:8.8.8.8',
      '::ffff:0:7f00:1',
      '64:ff9b::7f00:1',
      '64:ff9b::a9fe:a9fe',
      '64:ff9b::a00:1',
      '64:ff9b:1::808:808',
      '2002:7f00:1::1',
      '2001::1',
      'ff02::1',
      '4000::1',
      'fe80::1%eth0',
    ],
  ],
];

describe('The kind of an address', () => {
  test.each(kinds.flatMap(([kind, addresses]) => addresses.map((address) => [address, kind] as const)))(
    'of %s is %s',
    (address, kind) => {
      expect(addressKind(address)).toBe(kind);
    },
  );

  test.each([
    '',
    'localhost',
    '127.1',
    '0x7f000001',
    '2130706433',
    '010.0.0.1',
    '8.8.8.8 ',
    '[::1]',
    '1.2.3.4/8',
    '8.8.8.8:80',
  ])('of what the system does not write as an address is never: "%s"', (text) => {
    expect(addressKind(text)).toBe('never');
  });
});

describe('Two addresses', () => {
  test.each([
    ['127.0.0.1', '127.0.0.1', true],
    ['127.0.0.1', '127.0.0.2', false],
    ['::1', '0:0:0:0:0:0:0:1', true],
    ['2001:DB8::A', '2001:db8::a', true],
    ['::ffff:127.0.0.1', '127.0.0.1', false],
    ['', '', false],
    ['localhost', 'localhost', false],
  ])('"%s" and "%s" are the same: %s', (one, other, same) => {
    expect(isSameAddress(one, other)).toBe(same);
  });
});
