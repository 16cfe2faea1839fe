/**
 * What kind of place an IP address is. Fails closed: whatever is not known to be
 * public is not. Names are not resolved here.
 */

import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';

/**
 * "public": in the open internet. "private": somebody's own network or machine,
 * to be reached only where the policy says so. "metadata": link-local, where clouds
 * hand out credentials, to be reached only if a target names the very address.
 * "never": no place for a request, or one that hides another address.
 */
export type AddressKind = 'public' | 'private' | 'metadata' | 'never';

type Parsed = ReturnType<typeof ipaddr.parse>;

/** Metadata and credential services outside of the link-local ranges: AWS, Google, Alibaba, Oracle, Azure. */
const metadataAddresses = [
  'fd00:ec2::254',
  'fd00:ec2::23',
  'fd20:ce::254',
  '100.100.100.200',
  '192.0.0.192',
  '168.63.129.16',
].map((text) => ipaddr.parse(text).toNormalizedString());

/** Ranges where no server is, or whose addresses stand for IPv4 addresses that are somewhere else. */
const neverRanges: readonly string[] = [
  'unspecified',
  'broadcast',
  'multicast',
  'ipv4Mapped',
  'rfc6145',
  'rfc6052',
  '6to4',
  'teredo',
];

const wellKnownNat64 = ipaddr.parseCIDR('64:ff9b::/96') as [ipaddr.IPv6, number];
/** All unicast addresses of IPv6 that were ever given out. */
const globalUnicast = ipaddr.parseCIDR('2000::/3') as [ipaddr.IPv6, number];

/** The kind of an address as the system writes it; "never" for anything else. */
export function addressKind(text: string): AddressKind {
  if (isIP(text) === 0 || text.includes('%')) return 'never';
  const address = ipaddr.parse(text);
  if (address.kind() === 'ipv6' && (address as ipaddr.IPv6).match(wellKnownNat64)) {
    // Networks without IPv4 reach the public part of it like this.
    return kindOf(new ipaddr.IPv4(address.toByteArray().slice(12))) === 'public' ? 'public' : 'never';
  }
  return kindOf(address);
}

function kindOf(address: Parsed): AddressKind {
  const range: string = address.range();
  if (range === 'linkLocal' || metadataAddresses.includes(address.toNormalizedString())) return 'metadata';
  if (neverRanges.includes(range)) return 'never';
  if (range !== 'unicast') return 'private';
  return address.kind() === 'ipv4' || (address as ipaddr.IPv6).match(globalUnicast) ? 'public' : 'never';
}

/** Whether both texts are spellings of one address. */
export function isSameAddress(one: string, other: string): boolean {
  if (isIP(one) === 0 || isIP(other) === 0) return false;
  return ipaddr.parse(one).toNormalizedString() === ipaddr.parse(other).toNormalizedString();
}
