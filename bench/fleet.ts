/**
 * The servers of a run, each started when it is first needed and kept until the
 * end. One that cannot be had says why, once and for all.
 */

import { join } from 'node:path';
import type { Guests } from './guests.ts';
import { peerProgram } from './peers/build.ts';
import { type BenchServer, startServer } from './process.ts';

const servers = join(import.meta.dirname, 'servers');
export const repository = join(import.meta.dirname, '..');

/** Where a server takes its guests from, and where it may write. */
export interface Surroundings {
  readonly guests: Guests;
  /** A folder of the run's own. */
  readonly directory: string;
  /** Whether peers may be built, which takes minutes the first time. */
  readonly buildsPeers: boolean;
}

type Start = (surroundings: Surroundings) => Promise<BenchServer>;

const launches = {
  // A line long enough that the curve of calls in flight ends for no other reason than the cases'.
  caisson: (surroundings) => startCaisson(surroundings, 'caisson', ['--queue-max', '2000']),
  'grpc-js': () => startNode('grpc-js'),
  'grpc-js-bytes': () => startNode('grpc-js-bytes'),
  'raw-http2': () => startNode('raw-http2'),
  'extism-create': ({ guests }) => startNode('extism', 'create', guests.modulesFolder),
  'extism-reuse': ({ guests }) => startNode('extism', 'reuse', guests.modulesFolder),
  'extism-worker': ({ guests }) => startNode('extism', 'worker', guests.modulesFolder),
  'extism-worker-used': ({ guests }) => startNode('extism', 'worker', guests.modulesFolder),
  'piscina-create': ({ guests }) => startPiscina('create', guests.modulesFolder),
  'piscina-reuse': ({ guests }) => startPiscina('reuse', guests.modulesFolder),
  'go-fresh': (surroundings) => startPeer('go', 'fresh', surroundings),
  'go-pooled': (surroundings) => startPeer('go', 'pooled', surroundings),
  'go-unbounded': (surroundings) => startPeer('go', 'unbounded', surroundings),
  'rust-fresh': (surroundings) => startPeer('rust', 'fresh', surroundings),
  'rust-pooled': (surroundings) => startPeer('rust', 'pooled', surroundings),
} as const satisfies Readonly<Record<string, Start>>;

export type ServerName = keyof typeof launches;

export class Fleet implements AsyncDisposable {
  readonly #surroundings: Surroundings;
  readonly #servers = new Map<ServerName, Promise<BenchServer>>();

  constructor(surroundings: Surroundings) {
    this.#surroundings = surroundings;
  }

  get surroundings(): Surroundings {
    return this.#surroundings;
  }

  /** The server, started if it is not running. Rejects with why it cannot be had. */
  server(name: ServerName): Promise<BenchServer> {
    let server = this.#servers.get(name);
    if (server === undefined) {
      server = launches[name](this.#surroundings);
      this.#servers.set(name, server);
    }
    return server;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const started = await Promise.allSettled(this.#servers.values());
    const running = started.flatMap((server) => (server.status === 'fulfilled' ? [server.value] : []));
    await Promise.all(running.map((server) => server[Symbol.asyncDispose]()));
  }
}

/** Starts Caisson with a data directory of its own. */
export function startCaisson(
  { guests, directory }: Surroundings,
  name: string,
  options: readonly string[] = [],
): Promise<BenchServer> {
  return startServer(process.execPath, [
    join(repository, 'src/main.ts'),
    ...['serve', '--grpc', '127.0.0.1:0', '--admin', 'off', '--log-level', 'error'],
    ...['--data-dir', join(directory, `data-${name}`), '--publish', guests.publishFolder],
    ...options,
  ]);
}

function startNode(name: string, ...words: readonly string[]): Promise<BenchServer> {
  return startServer(process.execPath, [join(servers, `${name}.ts`), ...words]);
}

async function startPiscina(mode: string, folder: string): Promise<BenchServer> {
  try {
    import.meta.resolve('piscina');
  } catch {
    throw new Error('npm package piscina is not installed');
  }
  return startNode('piscina', mode, folder);
}

async function startPeer(language: 'go' | 'rust', mode: string, { guests, buildsPeers }: Surroundings) {
  return startServer(await peerProgram(language, buildsPeers), [mode, guests.modulesFolder]);
}
