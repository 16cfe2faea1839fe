/**
 * Whether a request may go where it wants to: the manifest must ask for the host,
 * a target of the policy must allow scheme, host, port and method, and the
 * addresses behind the host must be public unless the target says otherwise. Pure;
 * every hop of a chain of redirects passes through here anew.
 */

import type { Grant, HttpTarget } from '../../../model/grant.ts';
import { hostMatches, isExactHost } from '../../../model/host-pattern.ts';
import { addressKind } from './addresses.ts';
import { type HttpPlace, schemePorts } from './place.ts';
import { HttpDenial } from './refusals.ts';

/** Rules that a message names. */
const rulesNamedMax = 5;
/** Addresses behind one name that are judged; a name with more is not reached. */
export const addressesMax = 64;

/** A request as it is judged. */
export interface JudgedRequest {
  readonly method: string;
  readonly place: HttpPlace;
  /** Whose redirect led there; undefined for what the guest asked itself. */
  readonly redirectedFrom?: HttpPlace | undefined;
}

/** The targets that allow the request; there is at least one. Throws HttpDenial. */
export function allowingTargets(request: JudgedRequest, grant: Grant): readonly HttpTarget[] {
  const { place, method } = request;
  const { askedHosts, targets } = grant.http;
  if (!askedHosts.some((pattern) => isHostCovered(pattern, place))) {
    throw new HttpDenial(
      `The manifest does not ask for ${described(request)}: add to the manifest "allowed_hosts": ["${place.host}"]`,
    );
  }
  const allowing = targets.filter((target) => isAllowing(target, place, method));
  if (allowing.length > 0) return allowing;
  throw new HttpDenial(
    `The policy does not allow ${described(request)} (${consideredRules(targets)}): ${policyLine(request, grant)}`,
  );
}

/** Throws HttpDenial unless all of the addresses may be reached under the targets that allow the request. */
export function judgeAddresses(
  request: JudgedRequest,
  addresses: readonly string[],
  targets: readonly HttpTarget[],
  grant: Grant,
): void {
  if (addresses.length > addressesMax) {
    throw new HttpDenial(`No policy can allow ${described(request)}: its host has more than ${addressesMax} addresses`);
  }
  for (const address of addresses) judgeAddress(request, address, targets, grant);
}

function judgeAddress(request: JudgedRequest, address: string, targets: readonly HttpTarget[], grant: Grant): void {
  const kind = addressKind(address);
  if (kind === 'public') return;
  if (kind === 'never') {
    throw new HttpDenial(
      `No policy can allow ${described(request)}: its host leads to an address that is nobody's own`,
    );
  }
  // Never under a pattern, whatever the policy says: it would open all that the server can reach.
  const openTargets = targets.filter(({ host, isPrivateAllowed }) => isPrivateAllowed && isExactHost(host));
  if (kind === 'private' && openTargets.length > 0) return;
  // Who runs the name's servers could make it lead there: what hands out credentials must be named itself.
  if (openTargets.some(({ host }) => host === address)) return;
  const named = kind === 'metadata' ? ', for which a target must name the address itself' : '';
  throw new HttpDenial(
    `The policy does not allow ${described(request)}, whose host leads to an address that is not public${named} ` +
      `(${consideredRules(targets)}): ${policyLine(request, grant, { private: true })}`,
  );
}

function isAllowing(target: HttpTarget, place: HttpPlace, method: string): boolean {
  return (
    (target.scheme === '*' || target.scheme === place.scheme) &&
    (target.port ?? schemePorts[place.scheme]) === place.port &&
    (target.methods === undefined || target.methods.includes(method)) &&
    isHostCovered(target.host, place)
  );
}

/** An address has no parts that "*." could stand for. */
function isHostCovered(pattern: string, { host, isAddress }: HttpPlace): boolean {
  return isAddress && pattern !== '*' ? pattern === host : hostMatches(pattern, host);
}

function described({ place, method, redirectedFrom }: JudgedRequest): string {
  const from = redirectedFrom === undefined ? '' : `, to which "${redirectedFrom.origin}" redirects`;
  return `http ${method} to "${place.origin}"${from}`;
}

function consideredRules(targets: readonly HttpTarget[]): string {
  const rules = [...new Set(targets.map(({ rule }) => `"${rule}"`))];
  if (rules.length === 0) return 'no rule has an http target';
  const more = rules.length > rulesNamedMax ? ' and others' : '';
  return `rules considered: ${rules.slice(0, rulesNamedMax).join(', ')}${more}`;
}

/** What to add to the policy's file; see docs/policy.md. */
function policyLine({ place, method }: JudgedRequest, { tenant, plugin }: Grant, more: object = {}): string {
  const { scheme, host, port } = place;
  const target = JSON.stringify({
    host,
    ...(scheme !== 'https' && { scheme }),
    ...(port !== schemePorts[scheme] && { port }),
    methods: [method],
    ...more,
  });
  return `add ${target} to "http.targets" of a rule for tenant "${tenant}" and plugin "${plugin}"`;
}
