/**
 * Which process of the server a call belongs to: what it names is run, kept or
 * known there. Undefined always means this one.
 */

import type { Metadata } from '@grpc/grpc-js';
import { markOf } from '../base/identifier.ts';
import type { PluginVersion } from '../model/plugin.ts';
import type { RpcPeer } from '../rpc/peer.ts';
import { tenantOf } from '../rpc/tenants.ts';
import { sessionOwner } from './session-owner.ts';

/** The number of the process that keeps plugins and what they store. */
export const leaderNumber = 0;

/** What of a request to execute decides where it runs. */
export interface RunRequest {
  readonly plugin: string;
  readonly sessionId: string;
}

export interface RoutesOptions {
  /** Of this process. */
  readonly number: number;
  readonly processes: number;
  /** The version that an execution would use here; throws if this process knows of none. */
  readonly resolve: (reference: string) => PluginVersion;
  readonly peer: (number: number) => RpcPeer;
}

export class Routes {
  readonly #options: RoutesOptions;

  constructor(options: RoutesOptions) {
    this.#options = options;
  }

  /** Where an execution runs: a session in its own process, what a follower does not know in the leader. */
  ofRun(request: RunRequest, metadata: Metadata): RpcPeer | undefined {
    const { number } = this.#options;
    if (number === leaderNumber && request.sessionId === '') return undefined;
    const version = this.#resolve(request.plugin);
    if (!version) return this.#peer(leaderNumber);
    if (request.sessionId === '' || version.manifest.instance.mode !== 'session') return undefined;
    const tenant = tenantNamed(metadata);
    // What is wrong with the tenant is said where the request is read.
    return tenant === undefined ? undefined : this.#peer(this.#ownerOf(request, version, tenant));
  }

  /** Where an execution is remembered, if it is at all. */
  ofExecution(id: string): RpcPeer | undefined {
    const number = markOf(id);
    return number === undefined || number >= this.#options.processes ? undefined : this.#peer(number);
  }

  /** All other processes. */
  others(): readonly RpcPeer[] {
    const numbers = Array.from({ length: this.#options.processes }, (_, number) => number);
    return numbers.map((number) => this.#peer(number)).filter((peer) => peer !== undefined);
  }

  #ownerOf({ sessionId }: RunRequest, { manifest }: PluginVersion, tenant: string): number {
    return sessionOwner({ tenant, plugin: manifest.name, sessionId }, this.#options.processes);
  }

  #peer(number: number): RpcPeer | undefined {
    return number === this.#options.number ? undefined : this.#options.peer(number);
  }

  #resolve(reference: string): PluginVersion | undefined {
    try {
      return this.#options.resolve(reference);
    } catch {
      return undefined;
    }
  }
}

function tenantNamed(metadata: Metadata): string | undefined {
  try {
    return tenantOf(metadata);
  } catch {
    return undefined;
  }
}
