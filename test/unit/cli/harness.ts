/** Runs the command line with streams, server and engine that are fakes. */

import { PassThrough, Readable } from 'node:stream';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { createCli } from '../../../src/cli/cli.ts';
import type { Connection, Target } from '../../../src/cli/connection.ts';
import type { CliDependencies, DoctorCheck, RunOptions, ServeOptions } from '../../../src/cli/dependencies.ts';
import {
  type ExecutionEvent,
  ExecutionEventSchema,
  type ExecutionSchema,
} from '../../../src/gen/caisson/v1/execution_pb.ts';

export interface CliRun {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stdoutBytes: Uint8Array;
  readonly stderr: string;
  /** Addresses that were connected to, and for whom. */
  readonly addresses: readonly string[];
  readonly tenants: readonly (string | undefined)[];
  readonly served: readonly ServeOptions[];
  readonly ran: readonly RunOptions[];
}

export interface CliFakes {
  /** What is piped into stdin; a terminal if absent. */
  readonly stdin?: string;
  readonly isTerminal?: boolean;
  readonly environment?: Readonly<Record<string, string>>;
  /** Methods of the services that the command may call. */
  readonly plugins?: object;
  readonly executions?: object;
  readonly admin?: object;
  readonly health?: object;
  readonly checks?: readonly DoctorCheck[];
  readonly runFile?: CliDependencies['runFile'];
  readonly inspectModule?: CliDependencies['inspectModule'];
  readonly explainGrant?: CliDependencies['explainGrant'];
  /** Called with what interrupts the command. */
  readonly onListening?: (interrupt: () => void) => void;
  /** Replaces stdout. */
  readonly stdout?: PassThrough;
}

export async function runCli(words: readonly string[], fakes: CliFakes = {}): Promise<CliRun> {
  const stdout = fakes.stdout ?? new PassThrough();
  const stderr = Object.assign(new PassThrough(), { isTTY: fakes.isTerminal === true, columns: 80 });
  const [stdoutBytes, stderrBytes] = [collect(stdout), collect(stderr)];
  const targets: Target[] = [];
  const served: ServeOptions[] = [];
  const ran: RunOptions[] = [];
  const dependencies: CliDependencies = {
    version: '9.8.7',
    environment: fakes.environment ?? { HOME: '/home/somebody' },
    stdin: Object.assign(Readable.from(fakes.stdin === undefined ? [] : [Buffer.from(fakes.stdin)]), {
      isTTY: fakes.stdin === undefined,
    }),
    stdout,
    stderr,
    optionalFeatures: ['memory64', 'threads'],
    onInterrupt: (listener) => {
      fakes.onListening?.(listener);
      return { [Symbol.dispose]: () => {} };
    },
    connect: (target) => {
      targets.push(target);
      return connection(fakes);
    },
    serve: (options) => {
      served.push(options);
      return Promise.resolve(0);
    },
    runFile: (options, signal) => {
      ran.push(options);
      return (fakes.runFile ?? notFaked)(options, signal);
    },
    inspectModule: (options) => (fakes.inspectModule ?? notFaked)(options),
    explainGrant: (options) => (fakes.explainGrant ?? notFaked)(options),
    diagnose: () => Promise.resolve(fakes.checks ?? []),
  };
  const exitCode = await createCli(dependencies).run(words);
  const bytes = Buffer.concat(stdoutBytes);
  return {
    exitCode,
    stdout: bytes.toString(),
    stdoutBytes: bytes,
    stderr: Buffer.concat(stderrBytes).toString(),
    addresses: targets.map(({ address }) => address),
    tenants: targets.map(({ tenant }) => tenant),
    served,
    ran,
  };
}

function collect(stream: PassThrough): Uint8Array[] {
  const chunks: Uint8Array[] = [];
  stream.on('data', (chunk: Uint8Array) => chunks.push(chunk));
  return chunks;
}

function connection({ plugins, executions, admin, health }: CliFakes): Connection {
  const service = (methods: object | undefined): object =>
    new Proxy(methods ?? {}, { get: (target, name) => Reflect.get(target, name) ?? notFaked });
  return {
    plugins: service(plugins),
    executions: service(executions),
    admin: service(admin),
    health: service(health),
    [Symbol.dispose]: () => {},
  } as unknown as Connection;
}

function notFaked(): never {
  throw new Error('The command called a method that the test did not expect');
}

type Happened = NonNullable<MessageInitShape<typeof ExecutionEventSchema>['event']>;

/** Events of one execution, sequences and id filled in. */
export function events(...happened: readonly Happened[]): readonly ExecutionEvent[] {
  return happened.map((event, index) =>
    create(ExecutionEventSchema, {
      sequence: BigInt(index + 1),
      executionId: 'e-1',
      time: { seconds: 1_700_000_000n },
      event,
    }),
  );
}

/** The last event of an execution. */
export function ended(execution: MessageInitShape<typeof ExecutionSchema>): Happened {
  return { case: 'outcome', value: { id: 'e-1', plugin: 'echo@1.0.0', function: 'echo', ...execution } };
}

/** Responses of a stream that carry these events. */
export async function* responses(list: readonly ExecutionEvent[]): AsyncGenerator<{ event: ExecutionEvent }> {
  for (const event of list) yield await Promise.resolve({ event });
}
