/**
 * Patterns of hosts, as allowed_hosts of a manifest and the targets of a policy
 * have them: a host name, "*." and a host name, an IP address, or "*". A pattern
 * is written as a URL would have the host after parsing, so that comparing texts
 * is enough. What an address may be reached for is not decided here.
 */

const hostLengthMax = 253;
const addressLook = /^\[?[0-9a-f]*:[0-9a-f.]*:[0-9a-f:.]*(?:%[^\]]*)?\]?(?<port>:\d*)?$/i;
const nameLook = /^[\p{L}\p{M}\p{N}_.-]+$/u;

const forms = 'must be a host name, "*." and a host name, an IP address, or "*"';

/** Why this is no pattern of hosts; undefined if it is one. */
export function hostPatternRefusal(pattern: string): string | undefined {
  if (pattern === '*') return undefined;
  const host = pattern.startsWith('*.') ? pattern.slice(2) : pattern;
  if (host.includes('://')) return `must be a host alone, without a scheme: ${forms}`;
  if (/[/?#\\]/.test(host)) return `must be a host alone, without a path: ${forms}`;
  if (host.includes('@')) return `must be a host alone, without a user: ${forms}`;
  if (addressLook.test(host)) return addressRefusal(pattern, host);
  if (/:\d*$/.test(host)) return `must be a host alone, without a port: ${forms}`;
  if (host.includes('*')) return 'can have a "*" only alone, or at its beginning with a "." after it';
  return nameRefusal(pattern, host);
}

/** Whether a pattern covers a host, which is written as in patterns. "*.a.b" covers whatever ends with ".a.b", and not "a.b" itself. */
export function hostMatches(pattern: string, host: string): boolean {
  if (pattern === '*') return true;
  return pattern.startsWith('*.') ? host.endsWith(pattern.slice(1)) && host.length >= pattern.length : pattern === host;
}

/** Whether there is a host that both patterns cover. */
export function hostsOverlap(one: string, other: string): boolean {
  if (one === '*' || other === '*') return true;
  if (!one.startsWith('*.')) return hostMatches(other, one);
  if (!other.startsWith('*.')) return hostMatches(one, other);
  return one.endsWith(other.slice(1)) || other.endsWith(one.slice(1));
}

/** Whether a pattern covers one host only. */
export function isExactHost(pattern: string): boolean {
  return !pattern.startsWith('*');
}

function addressRefusal(pattern: string, address: string): string | undefined {
  if (address.startsWith('[')) {
    const port = addressLook.exec(address)?.groups?.['port'];
    return `must be written without brackets${port === undefined ? '' : ' and without a port'}: ${forms}`;
  }
  const canonical = urlHost(`[${address}]`)?.slice(1, -1);
  if (canonical === undefined || pattern.startsWith('*')) return forms;
  return canonical === address ? undefined : `must be written as URLs have it: "${canonical}"`;
}

function nameRefusal(pattern: string, name: string): string | undefined {
  const canonical = nameLook.test(name) && !name.endsWith('.') ? urlHost(name) : undefined;
  if (canonical === undefined || canonical.length > hostLengthMax || /^[.-]|\.\.|-$/.test(canonical)) return forms;
  if (/^[\d.]+$/.test(canonical) && pattern.startsWith('*')) return forms;
  const prefix = pattern.startsWith('*.') ? '*.' : '';
  return canonical === name ? undefined : `must be written as URLs have it: "${prefix}${canonical}"`;
}

function urlHost(host: string): string | undefined {
  return URL.parse(`http://${host}/`)?.hostname;
}
