/**
 * grpc.health.v1: whether each service, and the server as a whole (""), serves.
 * Owns the statuses and who watches them; who sets them decides what they mean.
 */

import { linkSignals, onAbort } from '../base/signals.ts';
import {
  type Health,
  type HealthCheckResponse_ServingStatus,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from '../gen/grpc/health/v1/health_pb.ts';
import { ExecError } from '../model/exec-error.ts';
import type { CallContext, ServiceImplementation } from './service-types.ts';
import { StandardRefusal } from './status.ts';
import { shown } from './violations.ts';

type Status = HealthCheckResponse_ServingStatus;

const watchersMax = 1_000;

/** The statuses of one server’s services. */
export class HealthStatuses {
  readonly #statuses = new Map<string, Status>();
  readonly #wakers = new Set<() => void>();
  #watchers = 0;
  #shutDown = false;

  /** Every service begins as NOT_SERVING. */
  constructor(services: readonly string[]) {
    for (const service of ['', ...services]) this.#statuses.set(service, ServingStatus.NOT_SERVING);
  }

  /** Sets all services at once. Nothing serves again after a shutdown. */
  setServing(serving: boolean): void {
    if (this.#shutDown) return;
    const status = serving ? ServingStatus.SERVING : ServingStatus.NOT_SERVING;
    for (const service of this.#statuses.keys()) this.#statuses.set(service, status);
    for (const wake of this.#wakers) wake();
  }

  /** NOT_SERVING everywhere and for good; watchers learn it. */
  shutDown(): void {
    this.setServing(false);
    this.#shutDown = true;
  }

  service(): ServiceImplementation<typeof Health> {
    return {
      check: ({ service }) => {
        const status = this.#statuses.get(service);
        if (status === undefined) throw unknownService(service);
        return { status };
      },
      list: () => ({ statuses: Object.fromEntries([...this.#statuses].map(([name, status]) => [name, { status }])) }),
      watch: ({ service }, context) => this.#watch(service, context),
    };
  }

  /** Never ends by itself; the shutdown ends it, because a stream that never ends would hold the server open. */
  async *#watch(service: string, context: CallContext): AsyncGenerator<{ status: Status }> {
    if (this.#watchers >= watchersMax) {
      throw new ExecError('READERS_FULL', `${watchersMax} clients watch the health already`);
    }
    this.#watchers++;
    using link = linkSignals(context.signal, context.draining);
    try {
      let sent: Status | undefined;
      for (;;) {
        const status = this.#statuses.get(service) ?? ServingStatus.SERVICE_UNKNOWN;
        // What the shutdown changed is told before the shutdown ends the stream.
        if (status !== sent) yield { status };
        else {
          link.signal.throwIfAborted();
          await this.#change(link.signal);
        }
        sent = status;
      }
    } finally {
      this.#watchers--;
    }
  }

  /** Resolves at the next change of any status, or when the signal aborts. */
  #change(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const settle = (): void => {
        this.#wakers.delete(settle);
        aborting[Symbol.dispose]();
        resolve();
      };
      this.#wakers.add(settle);
      const aborting = onAbort(signal, settle);
    });
  }
}

function unknownService(service: string): StandardRefusal {
  const message = `There is no service ${shown(service)}; Health/List names those there are`;
  return new StandardRefusal('NOT_FOUND', 'SERVICE_NOT_FOUND', message, service);
}
