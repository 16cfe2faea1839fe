/** `caisson exec` runs a function on a server, `caisson run` the same in this process. One set of options, one way to report. */

import { basename } from 'node:path';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { Execution, ExecutionEvent, ExecuteStreamRequestSchema } from '../gen/caisson/v1/execution_pb.ts';
import { type CapabilityName, capabilityNames } from '../model/capability.ts';
import type { FuelProfile } from '../model/fuel-profile.ts';
import type { Action } from '../model/execution.ts';
import type { LimitsAsked } from '../model/limits.ts';
import { tenantDefault } from '../model/tenant.ts';
import type { Connection } from './connection.ts';
import {
  addressOption,
  type CliContext,
  calls,
  jsonOption,
  runs,
  type ServerOptions,
  type TenantOptions,
} from './context.ts';
import { exitCodeHelp, exitCodes } from './exit-codes.ts';
import { LocalError } from './failure.ts';
import { reportFuel } from './fuel-report.ts';
import { type FollowOptions, follow } from './follow.ts';
import { readInput } from './input.ts';
import { findManifest, readManifestFor, readModule } from './module-files.ts';
import { reportOutcome } from './outcome-report.ts';
import { shown } from './output.ts';
import { collectPair, parseDuration, parseSeed, parseSize, wholeNumber } from './values.ts';

interface ActionOptions extends TenantOptions {
  readonly input?: string | false;
  readonly output?: string;
  readonly config?: ReadonlyMap<string, string>;
  readonly label?: ReadonlyMap<string, string>;
  readonly timeout?: number;
  readonly fuel?: number;
  readonly memory?: number;
  readonly outputLimit?: number;
  readonly hostCalls?: number;
  readonly seed?: Uint8Array;
  readonly session?: string;
  readonly requestId?: string;
  readonly verbose?: true;
  readonly json?: true;
}

interface ExecOptions extends ActionOptions {
  readonly detach?: true;
}

interface RunFileOptions extends ActionOptions {
  readonly manifest?: string;
  readonly allowWasmFeature?: readonly string[];
  readonly fuelReport?: true;
}

const execExamples = `
Examples:
  caisson exec csv-transform transform --input orders.csv --config select=name,amount
  echo hello | caisson exec echo@1.0.0 reverse
  caisson exec checksum crc32 --input disk.img --timeout 30s --json
  caisson exec csv-transform describe --input big.csv --output summary.json --verbose
  caisson --tenant acme exec notes add --session 7f3a --input note.txt
`;

const runExamples = `
Examples:
  caisson run build/echo.wasm echo --input notes.txt
  caisson run plugin.wasm transform --manifest plugin.json --config select=a,b < table.csv

Without a manifest (--manifest, or <name>.json or plugin.json beside the module) the module gets every capability
but http and secrets.
`;

export function addExecCommand(program: Command, context: CliContext): void {
  const command = program
    .command('exec')
    .summary('run a function of a published plugin')
    .description('Runs one function of a published plugin and writes its output to stdout.')
    .argument('<plugin>', 'name, name@version, or sha256:<digest>')
    .argument('<function>', 'an exported function')
    .addOption(addressOption())
    .addHelpText('after', execExamples + exitCodeHelp);
  addActionOptions(command);
  command.option('--detach', 'print the id of the execution and let it run; see caisson executions attach');
  calls<ExecOptions & ServerOptions>(command, context, (server, options, words) =>
    exec(server, context, options, words),
  );
}

export function addRunCommand(program: Command, context: CliContext): void {
  const command = program
    .command('run')
    .summary('run a function of a module here, without a server')
    .description('Runs one function of a WebAssembly module in this process, under the same limits as on a server.')
    .argument('<file>', 'the module, a .wasm file')
    .argument('<function>', 'an exported function')
    .option('--manifest <file>', 'the manifest of the module')
    .addOption(allowFeatureOption(context.dependencies.optionalFeatures))
    .option('--fuel-report', 'show which functions spent the fuel')
    .addHelpText('after', runExamples + exitCodeHelp);
  addActionOptions(command);
  runs<RunFileOptions>(command, context, (options, words) => runFile(context, options, words));
}

function addActionOptions(command: Command): void {
  command
    .option(
      '-i, --input <file>',
      'read the input from a file, or from stdin with "-"; default: stdin unless it is a terminal',
    )
    .option('--no-input', 'no input, and do not read stdin')
    .option('-o, --output <file>', 'write the output to a file instead of stdout')
    .option(
      '-c, --config <key=value>',
      'configuration for the guest, laid over that of the manifest; may be repeated',
      collectPair,
    )
    .option('-t, --timeout <duration>', 'longest run, such as 10s or 250ms', parseDuration)
    .option('--fuel <units>', 'most fuel of the run, such as 1000000000', wholeNumber(1))
    .option('-m, --memory <size>', 'most memory of the guest, such as 64MiB', parseSize)
    .option('--output-limit <size>', 'most output, such as 1MiB', parseSize)
    .option('--host-calls <count>', 'most calls of host functions', wholeNumber(1))
    .option('--seed <bytes>', 'seed of what the guest sees as randomness: 0x and hex digits, or text', parseSeed)
    .option('--session <id>', 'session whose instance to use, for plugins that have sessions')
    .option('-l, --label <key=value>', 'a label kept with the execution; may be repeated', collectPair)
    .option('--request-id <text>', 'your own name of this request')
    .option('-v, --verbose', 'show every line that the guest logs, its stack when it traps, and the receipt')
    .addOption(jsonOption());
}

/** The option --allow-wasm-feature, for the commands that compile modules: one name, or several with commas between them. */
export function allowFeatureOption(features: readonly string[]): Option {
  const description = `WebAssembly feature to allow beyond the usual ones; may be repeated (${features.join(', ')})`;
  return new Option('--allow-wasm-feature <name>', description).argParser((text, before: readonly string[] = []) => {
    const names = text.split(',').map((name) => name.trim());
    if (names.every((name) => features.includes(name))) return [...new Set([...before, ...names])];
    throw new InvalidArgumentError(`Allowed choices are ${features.join(', ')}.`);
  });
}

async function exec(
  server: Connection,
  context: CliContext,
  options: ExecOptions,
  words: readonly string[],
): Promise<number> {
  const action = await actionOf(words, options, context);
  const abandoned = new AbortController();
  const request = { ...requestOf(action), detached: options.detach === true };
  const events = eventsOf(server.executions.executeStream(request, { signal: abandoned.signal }));
  if (options.detach) return reportStart(events, context, options);
  const execution = await follow(events, context, {
    verbose: options.verbose === true && options.json !== true,
    cancel: (id) => {
      if (id === '') abandoned.abort();
      // If it cannot be canceled it has ended, or the stream fails with the same cause.
      else server.executions.cancelExecution({ id }).catch(() => {});
    },
    abandon: () => abandoned.abort(),
  });
  return report(execution, context, options);
}

/** Prints the id that the first event carries; leaving the stream does not end a detached execution. */
async function reportStart(
  events: AsyncIterable<ExecutionEvent>,
  { output }: CliContext,
  { json }: ExecOptions,
): Promise<number> {
  for await (const { executionId } of events) {
    if (json) output.json({ id: executionId });
    else output.line(shown(executionId));
    return exitCodes.ok;
  }
  throw new LocalError('The events ended before the first');
}

async function runFile(context: CliContext, options: RunFileOptions, words: readonly string[]): Promise<number> {
  const [modulePath = ''] = words;
  const module = await readModule(modulePath);
  const manifestText = await manifestFor(modulePath, options.manifest);
  const action = { ...(await actionOf(words, options, context)), plugin: pluginNameIn(manifestText) };
  const stopped = new AbortController();
  const allowedFeatures = options.allowWasmFeature ?? [];
  let profile: FuelProfile | undefined;
  const profiled = (told: FuelProfile): void => {
    profile = told;
  };
  const events = context.dependencies.runFile(
    { module, manifestText, action, allowedFeatures, ...(options.fuelReport && { profiled }) },
    stopped.signal,
  );
  const following: FollowOptions = {
    verbose: options.verbose === true && options.json !== true,
    cancel: () => stopped.abort(),
    abandon: () => stopped.abort(),
  };
  const exitCode = await report(await follow(events, context, following), context, options);
  if (profile) reportFuel(profile, context.output, options.json === true);
  return exitCode;
}

function report(execution: Execution | undefined, context: CliContext, options: ActionOptions): Promise<number> {
  if (execution === undefined) throw new LocalError('The events ended without an outcome');
  return reportOutcome(execution, context, options);
}

async function actionOf(
  [plugin = '', functionName = '']: readonly string[],
  options: ActionOptions,
  context: CliContext,
): Promise<Action> {
  return {
    tenant: options.tenant ?? tenantDefault,
    plugin,
    function: functionName,
    input: await readInput(options.input, context.dependencies),
    config: options.config ?? new Map(),
    limits: limitsOf(options),
    requestId: options.requestId ?? '',
    labels: options.label ?? new Map(),
    randomSeed: options.seed ?? new Uint8Array(),
    sessionId: options.session ?? '',
  };
}

function limitsOf({ timeout, fuel, memory, outputLimit, hostCalls }: ActionOptions): LimitsAsked {
  return {
    ...(timeout !== undefined && { timeoutMs: timeout }),
    ...(fuel !== undefined && { fuel }),
    ...(memory !== undefined && { memoryBytes: memory }),
    ...(outputLimit !== undefined && { outputBytes: outputLimit }),
    ...(hostCalls !== undefined && { hostCalls }),
  };
}

function requestOf(action: Action): MessageInitShape<typeof ExecuteStreamRequestSchema> {
  const { timeoutMs, fuel, memoryBytes, outputBytes, hostCalls } = action.limits;
  return {
    plugin: action.plugin,
    function: action.function,
    input: action.input,
    config: Object.fromEntries(action.config),
    limits: {
      ...(timeoutMs !== undefined && {
        timeout: { seconds: BigInt(Math.floor(timeoutMs / 1_000)), nanos: (timeoutMs % 1_000) * 1_000_000 },
      }),
      ...(fuel !== undefined && { fuel: BigInt(fuel) }),
      ...(memoryBytes !== undefined && { memoryBytes: BigInt(memoryBytes) }),
      ...(outputBytes !== undefined && { outputBytes: BigInt(outputBytes) }),
      ...(hostCalls !== undefined && { hostCalls: BigInt(hostCalls) }),
    },
    requestId: action.requestId,
    labels: Object.fromEntries(action.labels),
    randomSeed: action.randomSeed,
    sessionId: action.sessionId,
  };
}

async function* eventsOf(
  responses: AsyncIterable<{ readonly event?: ExecutionEvent | undefined }>,
): AsyncGenerator<ExecutionEvent> {
  for await (const { event } of responses) if (event) yield event;
}

/** What no module gets that does not name hosts or secrets. */
const namedCapabilities: readonly CapabilityName[] = ['http', 'secrets'];

/** The manifest named, or found beside the module, or one that asks for everything that needs no names. */
async function manifestFor(modulePath: string, named: string | undefined): Promise<string> {
  if (named === undefined && (await findManifest(modulePath)) === undefined) return openManifest(modulePath);
  return readManifestFor(modulePath, named);
}

function openManifest(modulePath: string): string {
  const stem = basename(modulePath, '.wasm')
    .toLowerCase()
    .replaceAll(/[^a-z0-9-]+/g, '-')
    .replaceAll(/^-+|-+$/g, '');
  const capabilities = capabilityNames.filter((name) => !namedCapabilities.includes(name));
  return JSON.stringify({ name: stem.slice(0, 32) || 'module', version: '0.0.0', capabilities });
}

function pluginNameIn(manifestText: string): string {
  try {
    const { name } = JSON.parse(manifestText) as { readonly name?: unknown };
    return typeof name === 'string' ? name : '';
  } catch {
    // Reading it for real reports what is wrong with it.
    return '';
  }
}
