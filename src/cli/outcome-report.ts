/** Reports an ended execution: its output to stdout or a file, its failure and receipt to stderr. */

import { writeFile } from 'node:fs/promises';
import { toJson } from '@bufbuild/protobuf';
import {
  type Execution,
  type ExecutionEvent,
  ExecutionEventSchema,
  ExecutionSchema,
  type GuestFrame,
  InstanceSource,
  Outcome,
  type Usage,
} from '../gen/caisson/v1/execution_pb.ts';
import type { CliContext } from './context.ts';
import { exitCodeOfOutcome, exitCodes, outcomeName } from './exit-codes.ts';
import { LocalError } from './failure.ts';
import { durationText, nameIn, sizeText } from './forms.ts';
import { systemText } from './module-files.ts';
import { shown } from './output.ts';

export interface ReportOptions {
  readonly json?: true;
  readonly verbose?: true;
  /** File for the output instead of stdout. */
  readonly output?: string;
}

/** Writes everything and answers with the exit code. */
export async function reportOutcome(
  execution: Execution,
  context: CliContext,
  options: ReportOptions,
): Promise<number> {
  const { output } = context;
  if (execution.outcome === Outcome.OK) await deliver(execution.output, context, options);
  if (options.json) output.json(executionJson(execution, { withOutput: options.output === undefined }));
  else reportFailure(execution, context, options);
  if (options.verbose && !options.json) output.note(receiptText(execution));
  return hostFailed(execution) ? exitCodes.failure : exitCodeOfOutcome(execution.outcome);
}

async function deliver(bytes: Uint8Array, { output }: CliContext, options: ReportOptions): Promise<void> {
  if (options.output !== undefined) await writeOutput(options.output, bytes);
  else if (!options.json) await output.result(bytes);
}

async function writeOutput(path: string, bytes: Uint8Array): Promise<void> {
  try {
    await writeFile(path, bytes);
  } catch (error) {
    throw new LocalError(`Cannot write output to "${path}": ${systemText(error)}`);
  }
}

function reportFailure(execution: Execution, { output }: CliContext, options: ReportOptions): void {
  if (execution.outcome === Outcome.OK) return;
  output.note(`caisson: ${failureText(execution)}`);
  if (options.verbose) for (const frame of execution.error?.guestStack ?? []) output.note(frameText(frame));
}

/** "TRAP (UNREACHABLE): …" */
export function failureText({ outcome, error }: Execution): string {
  const name = outcomeName(outcome) ?? (outcome === Outcome.UNSPECIFIED ? 'HOST FAILED' : `outcome ${outcome}`);
  return error === undefined ? name : `${name} (${shown(error.kind)}): ${shown(error.message)}`;
}

function frameText({ function: name, functionIndex, offset }: GuestFrame): string {
  return `    at ${name === '' ? `function ${functionIndex}` : shown(name)} (module+0x${offset.toString(16)})`;
}

function hostFailed({ outcome, error }: Execution): boolean {
  return outcome === Outcome.UNSPECIFIED && error !== undefined;
}

/** The receipt on one line. */
export function receiptText({ id, plugin, outcome, usage }: Execution): string {
  const name = outcomeName(outcome) ?? 'no outcome';
  return `caisson: ${name} ${shown(plugin)} ${shown(id)}${usage === undefined ? '' : `: ${usageText(usage)}`}`;
}

export function usageText(usage: Usage): string {
  const dropped = usage.logLinesDropped === 0n ? '' : `, ${usage.logLinesDropped} log lines dropped`;
  return [
    `wall ${durationText(usage.wallDuration)}`,
    `queue ${durationText(usage.queueDuration)}`,
    `run ${durationText(usage.runDuration)}`,
    `fuel ${usage.fuelIsLowerBound ? 'at least ' : ''}${usage.fuel.toLocaleString('en')}`,
    `memory ${sizeText(usage.memoryPeakBytes)}`,
    `in ${sizeText(usage.inputBytes)}`,
    `out ${sizeText(usage.outputBytes)}`,
    `${usage.hostCalls} host calls${callsText(usage)}`,
    `${usage.progressEvents} progress events${dropped}`,
    ...(usage.instanceSource === InstanceSource.UNSPECIFIED ? [] : [`instance ${instanceSourceText(usage)}`]),
    ...Object.entries(usage.counters).map(([name, count]) => `${shown(name)} ${count.toLocaleString('en')}`),
  ].join(', ');
}

/** " (kv 3, http 1)", most first. */
function callsText({ hostCallsByCapability }: Usage): string {
  const calls = Object.entries(hostCallsByCapability).toSorted(([, one], [, other]) => Number(other - one));
  return calls.length === 0 ? '' : ` (${calls.map(([name, count]) => `${shown(name)} ${count}`).join(', ')})`;
}

function instanceSourceText({ instanceSource }: Usage): string {
  return nameIn(InstanceSource, instanceSource).toLowerCase();
}

/** An execution as JSON, in the form of Protocol Buffers; the output can be left out, as where it went to a file. */
export function executionJson(execution: Execution, options: { readonly withOutput: boolean }): object {
  const json = toJson(ExecutionSchema, execution) as Record<string, unknown>;
  if (!options.withOutput) delete json['output'];
  return json;
}

/** An event as JSON, in the form of Protocol Buffers. */
export function eventJson(event: ExecutionEvent): object {
  return toJson(ExecutionEventSchema, event) as object;
}
