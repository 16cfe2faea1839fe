/**
 * Names to addresses, once for each request and never remembered. The system's
 * resolver takes a thread of a small pool that files need too, for as long as a
 * name's servers are silent: few look-ups run at once, and one of each tenant.
 */

import { lookup } from 'node:dns/promises';
import { onAbort } from '../../../base/signals.ts';
import { Gate } from './gate.ts';
import { HttpFailure } from './refusals.ts';

export interface Resolver {
  /** Addresses of a host name, in the order in which to try them. Rejects if there is none. */
  resolve(host: string): Promise<readonly string[]>;
}

export const systemResolver: Resolver = {
  resolve: async (host) => {
    const found = await lookup(host, { all: true, order: 'verbatim' });
    return found.map(({ address }) => address);
  },
};

/** Half of the threads that node has for it. */
const lookupsMax = 2;

export class Lookups {
  readonly #resolver: Resolver;
  readonly #running: Gate;

  constructor(resolver: Resolver, waitingMax: number) {
    this.#resolver = resolver;
    this.#running = new Gate('names to resolve', waitingMax);
  }

  /** Rejects with HttpFailure if the host has no address, and at once with the signal's reason. */
  async addresses(host: string, ofTenant: Gate, signal: AbortSignal): Promise<readonly string[]> {
    const places = await this.#enter(ofTenant, signal);
    // The places are held until the look-up has really ended, also if nobody waits for it any more.
    const looking = this.#look(host).finally(() => places.dispose());
    const aborted = Promise.withResolvers<never>();
    using _listening = onAbort(signal, () => aborted.reject(signal.reason as Error));
    const addresses = await Promise.race([looking, aborted.promise]);
    if (addresses.length === 0) throw noAddress(host);
    return addresses;
  }

  async #enter(ofTenant: Gate, signal: AbortSignal): Promise<DisposableStack> {
    using places = new DisposableStack();
    places.use(await ofTenant.enter(1, signal));
    places.use(await this.#running.enter(lookupsMax, signal));
    return places.move();
  }

  async #look(host: string): Promise<readonly string[]> {
    try {
      return await this.#resolver.resolve(host);
    } catch (error) {
      throw noAddress(host, error);
    }
  }
}

function noAddress(host: string, error?: unknown): HttpFailure {
  const code = (error as { readonly code?: unknown } | undefined)?.code;
  return new HttpFailure(`The host "${host}" has no address${typeof code === 'string' ? ` (${code})` : ''}`);
}
