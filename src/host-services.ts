/**
 * Composes what answers host calls in the main thread: one service for each
 * capability that needs it. What they reach beyond the server is the policy's.
 */

import { readFile } from 'node:fs/promises';
import type { Clock } from './base/clock.ts';
import { HostServices } from './capabilities/services/host-services.ts';
import { HttpService } from './capabilities/services/http/http-service.ts';
import { type Invoker, InvokeService } from './capabilities/services/invoke.ts';
import { KvService } from './capabilities/services/kv.ts';
import type { KvStore } from './capabilities/services/kv-store.ts';
import { MemoryKvStore } from './capabilities/services/memory-kv-store.ts';
import { MountService } from './capabilities/services/mounts.ts';
import { SecretService } from './capabilities/services/secrets.ts';
import type { HostService } from './capabilities/services/service.ts';
import type { Grant } from './model/grant.ts';
import type { Policy } from './policy/policy.ts';
import { readSecret } from './policy/secrets.ts';

export interface HostServicesOptions {
  readonly clock: Clock;
  readonly policy: Policy;
  /** Where secrets are read that the policy keeps in variables. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly invoker: Invoker;
  /** Where the values of capability "kv" are, if another process keeps them. */
  readonly kv?: KvStore;
}

export interface StartedHostServices extends AsyncDisposable {
  readonly services: HostService;
  readonly kv: KvStore;
}

export function startHostServices(options: HostServicesOptions): StartedHostServices {
  const { clock, policy, environment, invoker } = options;
  const stack = new AsyncDisposableStack();
  const rulesOf = (grant: Grant): readonly string[] => policy.rulesFor(grant);
  const kv = options.kv ?? stack.use(new MemoryKvStore({ clock }));
  const http = stack.use(new HttpService({ clock, traceparentOf: (span) => span.traceparent }));
  const secrets = new SecretService(async (grant, name) => {
    const source = policy.secretSource(grant, name);
    return source && (await readSecret(source, { environment, readFile: (path) => readFile(path) }));
  }, rulesOf);
  const services = new HostServices({
    kv: new KvService(kv),
    http,
    secrets,
    invoke: new InvokeService(invoker, rulesOf),
    wasi: {
      answer: (operation, request, run) =>
        new MountService(foldersOf(policy, run.grant), { rulesOf }).answer(operation, request, run),
    },
  });
  return { services, kv, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

function foldersOf(policy: Policy, grant: Grant): ReadonlyMap<string, string> {
  const folders = grant.wasi.mounts.map(({ name }) => [name, policy.mountDirectory(grant, name)] as const);
  return new Map(folders.filter((entry): entry is readonly [string, string] => entry[1] !== undefined));
}
