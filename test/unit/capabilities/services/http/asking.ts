/** A run that asks the service of http, as tests make it. */

import { systemClock } from '../../../../../src/base/clock.ts';
import { joinParts } from '../../../../../src/capabilities/parts.ts';
import { splitHttpAnswer } from '../../../../../src/capabilities/http-messages.ts';
import { HttpService, type HttpServiceOptions } from '../../../../../src/capabilities/services/http/http-service.ts';
import type { Resolver } from '../../../../../src/capabilities/services/http/resolver.ts';
import type { AskingRun } from '../../../../../src/capabilities/services/service.ts';
import type { HttpGrant, HttpTarget } from '../../../../../src/model/grant.ts';
import type { HostAnswer } from '../../../../../src/model/operation.ts';
import { askingRun as anyAskingRun } from '../asking-run.ts';

/** A grant that covers every host for which a target is given, with bounds that nothing reaches by accident. */
export const wideGrant: HttpGrant = {
  askedHosts: ['*'],
  targets: [],
  requestBytesMax: 1_000_000,
  responseBytesMax: 1_000_000,
  timeoutMsMax: 10_000,
  connectionsMax: 10,
  requestsMax: 1_000,
  requestsPerSecond: 1_000,
  redirectsMax: 3,
};

/** A target of the policy; by default a host whose address may be private. */
export function target(host: string, port: number | undefined, more: Partial<HttpTarget> = {}): HttpTarget {
  return { scheme: 'http', host, port, methods: undefined, isPrivateAllowed: true, rule: 'test-rule', ...more };
}

export function askingRun(
  http: Partial<HttpGrant>,
  { tenant = 'acme', ...changed }: Partial<AskingRun> & { readonly tenant?: string } = {},
): AskingRun {
  return anyAskingRun({ ...changed, granted: { tenant, http: { ...wideGrant, ...http } } });
}

/** The bytes of a request. */
export function requestOf(head: object | string, body: string | Uint8Array = ''): Uint8Array {
  return joinParts(typeof head === 'string' ? head : JSON.stringify(head), body);
}

/** A resolver that knows these names, and remembers what it was asked. Of several lists each serves once, the last for ever. */
export class FixedResolver implements Resolver {
  readonly asked: string[] = [];
  readonly #names: Readonly<Record<string, readonly (readonly string[])[]>>;

  constructor(names: Readonly<Record<string, readonly string[] | readonly (readonly string[])[]>>) {
    this.#names = Object.fromEntries(
      Object.entries(names).map(([name, lists]) => [
        name,
        Array.isArray(lists[0]) ? (lists as readonly (readonly string[])[]) : [lists as readonly string[]],
      ]),
    );
  }

  resolve(host: string): Promise<readonly string[]> {
    const before = this.asked.filter((name) => name === host).length;
    this.asked.push(host);
    const lists = this.#names[host] ?? [];
    const addresses = lists[Math.min(before, lists.length - 1)];
    if (addresses !== undefined) return Promise.resolve(addresses);
    return Promise.reject(Object.assign(new Error('unknown name'), { code: 'ENOTFOUND' }));
  }
}

export function httpService(options: Partial<HttpServiceOptions> = {}): HttpService {
  return new HttpService({ clock: systemClock, resolver: new FixedResolver({}), ...options });
}

export interface Told {
  readonly code: number;
  /** Of a refusal. */
  readonly text: string;
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** An answer in words. */
export function told({ code, payload }: HostAnswer): Told {
  const refused = { code, text: Buffer.from(payload).toString(), status: 0, headers: {}, body: '' };
  if (code !== 0) return refused;
  const { status, headers, body } = splitHttpAnswer(payload);
  return {
    ...refused,
    text: '',
    status,
    headers: JSON.parse(Buffer.from(headers).toString()) as Readonly<Record<string, string>>,
    body: Buffer.from(body).toString(),
  };
}

export async function ask(
  service: HttpService,
  run: AskingRun,
  head: object | string,
  body: string | Uint8Array = '',
): Promise<Told> {
  return told(await service.answer('http.request', requestOf(head, body), run));
}
