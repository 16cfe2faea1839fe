/** `caisson serve`: options of a server, from the command line or the environment, checked before anything starts. */

import { availableParallelism } from 'node:os';
import { delimiter, join } from 'node:path';
import { type Command, Option } from 'commander';
import { isLoopbackHost } from '../base/loopback.ts';
import { type CliContext, runs } from './context.ts';
import type { PublishedFiles, ServeOptions, ServerLogLevel } from './dependencies.ts';
import { allowFeatureOption } from './exec-command.ts';
import { UsageError } from './failure.ts';
import { findPluginFiles } from './module-files.ts';
import { type HostPort, hostPortText, parseListener, wholeNumber } from './values.ts';

interface WrittenOptions {
  readonly grpc: HostPort | 'off';
  readonly admin: HostPort | 'off';
  readonly socket?: string;
  readonly dataDir: string;
  readonly processes: number;
  readonly threadsMin: number;
  readonly threadsMax?: number;
  readonly queueMax: number;
  readonly graceSeconds: number;
  readonly logLevel: ServerLogLevel;
  readonly allowWasmFeature?: readonly string[];
  readonly policy?: string;
  readonly allowRemote?: true;
  readonly publish?: readonly string[];
}

const logLevels: readonly ServerLogLevel[] = ['debug', 'info', 'warn', 'error'];
const processesMax = 64;
const threadsMaxOfAll = 256;
const queueMaxOfAll = 1_000_000;
const graceSecondsMax = 3_600;
/** Threads at most, as a multiple of processors. */
const threadsPerProcessor = 4;
/** What the environment must say, too, before a listener may be reached from elsewhere. */
const allowRemoteVariable = 'CAISSON_ALLOW_REMOTE';

const examples = `
Examples:
  caisson serve
  caisson serve --grpc 127.0.0.1:6000 --data-dir ./data --publish plugins-examples/build
  caisson serve --grpc off --socket /run/caisson/caisson.sock
  caisson serve --processes 4
  ${allowRemoteVariable}=yes caisson serve --grpc 0.0.0.0:50051 --allow-remote

There is no authentication: whoever reaches a listener can run and publish plugins. A listener that
other machines can reach is refused unless --allow-remote is given and ${allowRemoteVariable}=yes is set.`;

export function addServeCommand(program: Command, context: CliContext): void {
  const { environment, optionalFeatures } = context.dependencies;
  const processors = availableParallelism();
  const command = program
    .command('serve')
    .summary('run a server')
    .description(
      'Runs a server until it gets SIGTERM or SIGINT. Every option can be given in the environment; the command line wins.',
    )
    .addOption(listenerOption('--grpc <host:port>', 'where to serve gRPC, or "off"', 'CAISSON_GRPC', 50_051))
    .addOption(
      listenerOption('--admin <host:port>', 'where to serve health over HTTP, or "off"', 'CAISSON_ADMIN', 50_080),
    )
    .addOption(new Option('--socket <path>', 'serve gRPC on a Unix socket, too').env('CAISSON_SOCKET'))
    .addOption(
      new Option('--data-dir <path>', 'where plugins are kept')
        .env('CAISSON_DATA_DIR')
        .default(dataDirectoryDefault(environment)),
    )
    .addOption(
      numberOption('--processes <count>', 'processes that share the listeners and the work', 'CAISSON_PROCESSES', [
        1,
        processesMax,
      ]).default(1),
    )
    .addOption(
      numberOption('--threads-min <count>', 'sandbox threads kept ready, of all processes', 'CAISSON_THREADS_MIN', [
        1,
        threadsMaxOfAll,
      ]).default(processors),
    )
    .addOption(
      numberOption('--threads-max <count>', 'most sandbox threads, of all processes', 'CAISSON_THREADS_MAX', [
        1,
        threadsMaxOfAll,
      ]).default(undefined, `${threadsPerProcessor} × processors, at least --threads-min`),
    )
    .addOption(
      numberOption(
        '--queue-max <count>',
        'most executions that wait for a thread, in each process',
        'CAISSON_QUEUE_MAX',
        [0, queueMaxOfAll],
      ).default(1_000),
    )
    .addOption(
      numberOption('--grace-seconds <count>', 'how long executions may go on at shutdown', 'CAISSON_GRACE_SECONDS', [
        0,
        graceSecondsMax,
      ]).default(10),
    )
    .addOption(
      new Option('--log-level <level>', 'least grave lines to log')
        .env('CAISSON_LOG_LEVEL')
        .choices(logLevels)
        .default('info'),
    )
    .addOption(allowFeatureOption(optionalFeatures).env('CAISSON_ALLOW_WASM_FEATURE'))
    .addOption(
      new Option(
        '--policy <file>',
        'what tenants and plugins are allowed; default: only what stays within the server',
      ).env('CAISSON_POLICY'),
    )
    .addOption(
      new Option('--allow-remote', `let other machines reach the listeners; wants ${allowRemoteVariable}=yes as well`),
    )
    .addOption(
      new Option('--publish <folder>', 'publish every module with a manifest in a folder at start; may be repeated')
        .env('CAISSON_PUBLISH')
        .argParser(collectFolders),
    )
    .addHelpText('after', examples);
  runs<WrittenOptions>(command, context, async (written) => {
    refuseRemote(written, environment[allowRemoteVariable]);
    return context.dependencies.serve(await serveOptions(written));
  });
}

function listenerOption(flags: string, description: string, variable: string, port: number): Option {
  const preset: HostPort = { host: '127.0.0.1', port };
  return new Option(flags, description).env(variable).argParser(parseListener).default(preset, hostPortText(preset));
}

function numberOption(
  flags: string,
  description: string,
  variable: string,
  [min, max]: readonly [number, number],
): Option {
  return new Option(flags, description).env(variable).argParser(wholeNumber(min, max));
}

/** One folder, or several as in PATH, added to those before. */
function collectFolders(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, ...text.split(delimiter).filter((folder) => folder !== '')];
}

/** /var/lib/caisson for root, else the state directory of the XDG base directory specification. */
export function dataDirectoryDefault(environment: Readonly<Record<string, string | undefined>>): string {
  if (process.getuid?.() === 0) return '/var/lib/caisson';
  const stateHome = environment['XDG_STATE_HOME'] ?? join(environment['HOME'] ?? '.', '.local/state');
  return join(stateHome, 'caisson');
}

/** Throws UsageError if another machine could reach a listener and that was not said twice. */
function refuseRemote({ grpc, admin, allowRemote }: WrittenOptions, variable: string | undefined): void {
  const remote = [grpc, admin].filter((listener) => listener !== 'off').find(({ host }) => !isLoopbackHost(host));
  if (remote === undefined || (allowRemote === true && variable === 'yes')) return;
  throw new UsageError(
    `Other machines could reach ${hostPortText(remote)}, and there is no authentication: bind to 127.0.0.1, or give --allow-remote and set ${allowRemoteVariable}=yes`,
  );
}

async function serveOptions(written: WrittenOptions): Promise<ServeOptions> {
  const { threadsMin, threadsMax = Math.max(threadsMin, threadsPerProcessor * availableParallelism()) } = written;
  if (threadsMax < threadsMin)
    throw new UsageError(`--threads-max is ${threadsMax}, but --threads-min is ${threadsMin}: it must not be greater`);
  if (written.grpc === 'off' && written.socket === undefined)
    throw new UsageError('Nothing to serve gRPC on: give --grpc host:port or --socket path');
  return {
    grpc: written.grpc === 'off' ? undefined : written.grpc,
    admin: written.admin === 'off' ? undefined : written.admin,
    socketPath: written.socket,
    dataDirectory: written.dataDir,
    processes: written.processes,
    threadsMin,
    threadsMax,
    queueMax: written.queueMax,
    graceMs: written.graceSeconds * 1_000,
    logLevel: written.logLevel,
    allowedFeatures: written.allowWasmFeature ?? [],
    policyPath: written.policy,
    publish: await filesIn(written.publish ?? []),
  };
}

async function filesIn(folders: readonly string[]): Promise<readonly PublishedFiles[]> {
  const found = await Promise.all(folders.map(findPluginFiles));
  return found.flat();
}
