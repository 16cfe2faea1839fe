/**
 * Servers with several processes: clients whose connections go to one process
 * each, what the processes are, and a check that nothing of them is left.
 */

import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DescService } from '@bufbuild/protobuf';
import { markOf } from '../../src/base/identifier.ts';
import { type Client, createClient } from '../../src/client/client.ts';
import { AdminService, type GetServerInfoResponse } from '../../src/gen/caisson/v1/admin_pb.ts';
import { ExecutionService } from '../../src/gen/caisson/v1/execution_pb.ts';
import { PluginService } from '../../src/gen/caisson/v1/plugin_pb.ts';
import { nop } from './guests.ts';
import { type Clients, publishWat, run } from './plugins.ts';
import { type ServerOptions, startServer, type TestServer } from './server.ts';

/** Clients on one connection, and the process that serves it. */
export interface ProcessClients extends Clients {
  readonly number: number;
  info(): Promise<GetServerInfoResponse>;
}

export interface ProcessesServer extends AsyncDisposable {
  readonly server: TestServer;
  /** One for each process, in order of their numbers. */
  readonly each: readonly ProcessClients[];
  /** Clients on a new connection, to be disposed by the caller. */
  connect(): Promise<ProcessClients>;
  /** Process ids of the workers, by number. */
  pids(): Promise<readonly number[]>;
}

type EveryClient = Client<typeof ExecutionService> & Client<typeof PluginService> & Client<typeof AdminService>;

/** One client of all services has one connection, and so one process. */
const everyService = {
  methods: [ExecutionService, PluginService, AdminService].flatMap(({ methods }) => methods),
} as unknown as DescService;

const attemptsMax = 20;

/** Disposing ends the server, and fails if a process or a file of it is left. */
export async function startProcesses(processes: number, options: ServerOptions = {}): Promise<ProcessesServer> {
  const temporary = mkdtempSync(join(tmpdir(), 'caisson-t-'));
  await using started = new AsyncDisposableStack();
  started.defer(() => rmSync(temporary, { recursive: true, force: true }));
  const server = started.use(
    await startServer({
      examples: false,
      ...options,
      arguments: ['--processes', String(processes), ...(options.arguments ?? [])],
      environment: { ...options.environment, TMPDIR: temporary },
    }),
  );
  const address = server.address.split(',')[0] ?? '';
  const first = started.use(openClients(address));
  await publishWat(first, 'where', nop);
  const each: ProcessClients[] = [];
  const connect = async (): Promise<ProcessClients> => {
    const clients = openClients(address);
    return Object.assign(clients, { number: await numberOf(clients) });
  };
  for (let attempt = 0; each.length < processes; attempt++) {
    if (attempt > attemptsMax) throw new Error('The connections did not reach all processes');
    const clients = started.use(await connect());
    if (!each.some(({ number }) => number === clients.number)) each.push(clients);
  }
  const pids = async (): Promise<readonly number[]> => (await first.info()).processes.map(({ pid }) => pid);
  const seen = new Set(await pids());
  const owned = started.move();
  return {
    server,
    each: each.toSorted((one, other) => one.number - other.number),
    connect,
    async pids() {
      const now = await pids();
      for (const pid of now) seen.add(pid);
      return now;
    },
    async [Symbol.asyncDispose]() {
      const code = await server.stop();
      const left = [...seen].filter(isProcess).map((pid) => `process ${pid}`);
      const files = existsSync(temporary) ? readdirSync(temporary) : [];
      await owned.disposeAsync();
      if (code !== 0 || left.length > 0 || files.length > 0) {
        throw new Error(`The server ended with ${code} and left ${[...left, ...files].join(', ') || 'nothing'}`);
      }
    },
  };
}

function openClients(address: string): ProcessClients {
  const client = createClient(everyService, { address, ownConnection: true }) as unknown as EveryClient;
  return {
    executions: client,
    plugins: client,
    number: -1,
    info: () => client.getServerInfo({}),
    [Symbol.dispose]: () => client[Symbol.dispose](),
  };
}

/** The process that a connection's executions run in. */
async function numberOf(clients: Clients): Promise<number> {
  const { id } = await run(clients, { plugin: 'where', function: 'run' });
  return markOf(id) ?? -1;
}

export function isProcess(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
