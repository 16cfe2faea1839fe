/**
 * Capability "http" in the main thread: the operation "http.request". Decides
 * with manifest and policy, counts, resolves, connects and follows redirects, each
 * hop judged wholly anew. What it refuses or cannot do it answers; it rejects only
 * with the run's own reason to stop.
 */

import type { Clock } from '../../../base/clock.ts';
import { linkSignals } from '../../../base/signals.ts';
import { boundedText, singleLine } from '../../../base/text.ts';
import type { Grant, HttpGrant } from '../../../model/grant.ts';
import { answerCodes, type HostAnswer, type OperationName } from '../../../model/operation.ts';
import type { TraceSpan } from '../../../model/trace.ts';
import { type HttpAnswer, type HttpRequest, httpCodes, joinHttpAnswer, readHttpRequest } from '../../http-messages.ts';
import { splitParts } from '../../parts.ts';
import type { AskingRun, HostService } from '../service.ts';
import { dial } from './connection.ts';
import { allowingTargets, judgeAddresses } from './egress-policy.ts';
import { headersOf, readBody, send } from './exchange.ts';
import { readPlace } from './place.ts';
import { type Hop, nextHop } from './redirects.ts';
import { HttpDenial, HttpFailure } from './refusals.ts';
import { guestHeaders } from './request-headers.ts';
import { Lookups, type Resolver, systemResolver } from './resolver.ts';
import { type TenantTraffic, Traffic } from './tenants.ts';

/** Bytes of a text that says why there is no answer. */
const refusalBytesMax = 2_048;

export interface HttpServiceOptions {
  readonly clock: Clock;
  /** Default: the system's. */
  readonly resolver?: Resolver;
  /** Certificates to trust instead of node's own, as PEM. */
  readonly ca?: string;
  /** The W3C traceparent of a span; without it none is sent. */
  readonly traceparentOf?: (span: TraceSpan) => string | undefined;
  /** Tenants counted at once; default 10,000. */
  readonly tenantsMax?: number;
  /** Runs counted at once; default 10,000. */
  readonly runsMax?: number;
  /** Requests of one tenant that wait for others of it; default 64. */
  readonly waitingMax?: number;
}

/** A request on its way. */
interface Journey {
  readonly grant: Grant;
  readonly tenant: TenantTraffic;
  readonly signal: AbortSignal;
  readonly span: TraceSpan | undefined;
}

export class HttpService implements HostService, AsyncDisposable {
  readonly #options: HttpServiceOptions;
  readonly #traffic: Traffic;
  readonly #lookups: Lookups;
  readonly #stopping = new AbortController();
  readonly #underWay = new Set<Promise<unknown>>();

  constructor(options: HttpServiceOptions) {
    const { clock, resolver = systemResolver, tenantsMax = 10_000, runsMax = 10_000, waitingMax = 64 } = options;
    this.#options = options;
    this.#traffic = new Traffic(clock, { tenantsMax, runsMax, waitingMax });
    // One look-up of each tenant at most is here.
    this.#lookups = new Lookups(resolver, tenantsMax);
  }

  async answer(_operation: OperationName, request: Uint8Array, run: AskingRun): Promise<HostAnswer> {
    run.signal.throwIfAborted();
    const answering = this.#answer(request, run);
    this.#underWay.add(answering);
    try {
      return { code: httpCodes.answered, payload: joinHttpAnswer(await answering) };
    } catch (error) {
      run.signal.throwIfAborted();
      return refusalAnswer(error);
    } finally {
      this.#underWay.delete(answering);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort(new HttpFailure('The server is shutting down'));
    await Promise.allSettled(this.#underWay);
  }

  async #answer(request: Uint8Array, run: AskingRun): Promise<HttpAnswer> {
    const { timeoutMsMax } = run.grant.http;
    const late = new AbortController();
    using _timer = this.#options.clock.after(timeoutMsMax, () => {
      late.abort(new HttpFailure(`The request took longer than the ${timeoutMsMax} ms that the policy allows`));
    });
    using link = linkSignals(run.signal, late.signal, this.#stopping.signal);
    const hop = firstHop(request, run.grant.http);
    this.#traffic.countRun(run.executionId, run.grant.http.requestsMax);
    const span = startSpan(run.span, hop);
    try {
      return await this.#perform(hop, run, span, link.signal);
    } catch (error) {
      span?.fail(error instanceof HttpDenial ? 'HTTP_DENIED' : 'HTTP_FAILED');
      throw error;
    } finally {
      span?.end();
    }
  }

  async #perform(
    first: Hop,
    { grant }: AskingRun,
    span: TraceSpan | undefined,
    signal: AbortSignal,
  ): Promise<HttpAnswer> {
    // Before anything waits: what is not allowed shall not take a place.
    allowingTargets(first, grant);
    signal.throwIfAborted();
    const tenant = this.#traffic.ofTenant(grant.tenant);
    using _place = await tenant.connections.enter(grant.http.connectionsMax, signal);
    const journey: Journey = { grant, tenant, signal, span };
    let hop = first;
    for (let redirects = 0; ; redirects++) {
      const result = await this.#visit(hop, journey);
      if ('status' in result) {
        span?.set({ 'http.response.status_code': result.status, 'http.request.resend_count': redirects });
        return result;
      }
      if (redirects >= grant.http.redirectsMax) {
        throw new HttpFailure(`There are more than the ${grant.http.redirectsMax} redirects that the policy allows`);
      }
      hop = result;
    }
  }

  /** One hop: the answer, or the hop that it redirects to. */
  async #visit(hop: Hop, { grant, tenant, signal, span }: Journey): Promise<HttpAnswer | Hop> {
    const targets = allowingTargets(hop, grant);
    await tenant.rate.turn(grant.http.requestsPerSecond, grant.http.timeoutMsMax, signal);
    const { place } = hop;
    const addresses = place.isAddress
      ? [place.host]
      : await this.#lookups.addresses(place.host, tenant.lookups, signal);
    judgeAddresses(hop, addresses, targets, grant);
    using connection = await dial(place, addresses, this.#options, signal);
    const message = await send(connection.socket, this.#traced(hop, span), signal);
    const status = message.statusCode ?? 0;
    const headers = headersOf(message);
    const next = nextHop(hop, status, message.headers.location);
    if (next !== undefined) return next;
    return { status, headers: jsonOf(headers), body: await readBody(message, grant.http.responseBytesMax, signal) };
  }

  /** The hop with the trace's header; where a run is not traced, a guest's own passes. */
  #traced(hop: Hop, span: TraceSpan | undefined): Hop {
    const traceparent = span && this.#options.traceparentOf?.(span);
    if (traceparent === undefined) return hop;
    const headers = new Map([...hop.headers, ['traceparent', traceparent]] as const);
    headers.delete('tracestate');
    return { ...hop, headers };
  }
}

function firstHop(request: Uint8Array, { requestBytesMax }: HttpGrant): Hop {
  const [text, body] = splitParts(request);
  if (text === undefined || body === undefined) throw new RangeError('The request of http has too few parts');
  if (body.length > requestBytesMax) {
    throw new HttpFailure(`The request has more than the ${requestBytesMax} bytes that the policy allows`);
  }
  const asked: HttpRequest | string = readHttpRequest(text);
  if (typeof asked === 'string') throw new HttpFailure(asked);
  return { place: readPlace(asked.url), method: asked.method, headers: guestHeaders(asked), body };
}

function startSpan(parent: TraceSpan | undefined, { method, place }: Hop): TraceSpan | undefined {
  return parent?.child(`http ${method} ${place.host}`, {
    attributes: {
      'http.request.method': method,
      'url.scheme': place.scheme,
      'server.address': place.host,
      'server.port': place.port,
    },
  });
}

function jsonOf(headers: ReadonlyMap<string, string>): Uint8Array {
  return Buffer.from(JSON.stringify(Object.fromEntries(headers)));
}

/** What is no refusal is a fault of the host, and thrown on. */
function refusalAnswer(error: unknown): HostAnswer {
  const code =
    error instanceof HttpDenial ? answerCodes.denied : error instanceof HttpFailure ? httpCodes.failed : undefined;
  if (code === undefined) throw error;
  return { code, payload: Buffer.from(boundedText(singleLine((error as Error).message), refusalBytesMax)) };
}
