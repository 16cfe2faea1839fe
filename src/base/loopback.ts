/** Which hosts only this machine can reach. */

import { isIPv4, isIPv6 } from 'node:net';

/** Whether the host is this machine alone. A name other than localhost counts as remote: it may resolve to anything. */
export function isLoopbackHost(host: string): boolean {
  const plain = host.toLowerCase();
  if (isIPv4(plain)) return plain.startsWith('127.');
  if (isIPv6(plain)) return plain === '::1' || /^::ffff:127\.\d+\.\d+\.\d+$/.test(plain);
  return plain === 'localhost';
}
