/** What is counted of tenants and runs while they make requests. Bounded: who was quiet longest is forgotten first. */

import type { Clock } from '../../../base/clock.ts';
import { Gate } from './gate.ts';
import { HttpFailure } from './refusals.ts';
import { RequestRate } from './request-rate.ts';

export interface TenantTraffic {
  readonly connections: Gate;
  readonly lookups: Gate;
  readonly rate: RequestRate;
}

export interface TrafficBounds {
  /** Tenants remembered at once. */
  readonly tenantsMax: number;
  /** Runs whose requests are counted at once. */
  readonly runsMax: number;
  /** Requests of one tenant that wait for a connection. */
  readonly waitingMax: number;
}

export class Traffic {
  readonly #clock: Clock;
  readonly #bounds: TrafficBounds;
  readonly #tenants = new Map<string, TenantTraffic>();
  readonly #runs = new Map<string, number>();

  constructor(clock: Clock, bounds: TrafficBounds) {
    this.#clock = clock;
    this.#bounds = bounds;
  }

  /** Throws HttpFailure if every tenant that is remembered has requests under way. */
  ofTenant(tenant: string): TenantTraffic {
    const known = this.#tenants.get(tenant);
    this.#tenants.delete(tenant);
    const traffic = known ?? this.#newTenant();
    this.#tenants.set(tenant, traffic);
    return traffic;
  }

  /** Counts a request of a run. Throws HttpFailure if the run has made as many as it may. */
  countRun(executionId: string, requestsMax: number): void {
    const requests = this.#runs.get(executionId) ?? 0;
    this.#runs.delete(executionId);
    const [oldest] = this.#runs.keys();
    if (oldest !== undefined && this.#runs.size >= this.#bounds.runsMax) this.#runs.delete(oldest);
    this.#runs.set(executionId, requests + 1);
    if (requests >= requestsMax) {
      throw new HttpFailure(`The run has made the ${requestsMax} requests that the policy allows`);
    }
  }

  #newTenant(): TenantTraffic {
    if (this.#tenants.size >= this.#bounds.tenantsMax) this.#forgetTenant();
    const { waitingMax } = this.#bounds;
    return {
      connections: new Gate('requests of this tenant', waitingMax),
      lookups: new Gate('names to resolve of this tenant', waitingMax),
      rate: new RequestRate(this.#clock),
    };
  }

  #forgetTenant(): void {
    for (const [tenant, { connections, lookups }] of this.#tenants) {
      if (!connections.isEmpty || !lookups.isEmpty) continue;
      this.#tenants.delete(tenant);
      return;
    }
    throw new HttpFailure(`There are requests of ${this.#bounds.tenantsMax} tenants at once`);
  }
}
