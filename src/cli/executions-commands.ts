/** `caisson executions`: list, show, cancel and attach to executions that a server remembers. */

import type { Command } from 'commander';
import { type Execution, type ExecutionEvent, Outcome, Stage } from '../gen/caisson/v1/execution_pb.ts';
import type { Connection } from './connection.ts';
import { addressOption, type CliContext, calls, type JsonOptions, jsonOption, type ServerOptions } from './context.ts';
import { exitCodeOfOutcome, exitCodes, outcomeName } from './exit-codes.ts';
import { durationText, sizeText, stageText, timeText } from './forms.ts';
import { logText } from './follow.ts';
import { eventJson, executionJson, failureText, usageText } from './outcome-report.ts';
import { factsText, shown, tableText } from './output.ts';
import { collectPages, pageLimitOption } from './pages.ts';
import { wholeNumber } from './values.ts';

type Options = ServerOptions & JsonOptions;
type ListOptions = Options & {
  readonly plugin?: string;
  readonly stage?: 'queued' | 'running' | 'completed';
  readonly limit: number;
};
type AttachOptions = Options & { readonly after: number };

const stages = { queued: Stage.QUEUED, running: Stage.RUNNING, completed: Stage.COMPLETED } as const;

export function addExecutionsCommands(program: Command, context: CliContext): void {
  const executions = program
    .command('executions')
    .summary('list, show, cancel and attach to executions')
    .description('Works with the executions that a server remembers.');
  addList(executions, context);
  addShow(executions, context);
  addCancel(executions, context);
  addAttach(executions, context);
}

function addList(parent: Command, context: CliContext): void {
  const command = parent
    .command('list')
    .summary('list executions, newest first')
    .option('--plugin <reference>', 'only those of a plugin: name or name@version')
    .addOption(stageOption(parent))
    .addOption(pageLimitOption())
    .addOption(addressOption())
    .addOption(jsonOption())
    .addHelpText(
      'after',
      '\nExamples:\n  caisson executions list --plugin csv-transform --stage running\n  caisson executions list --limit 10 --json',
    );
  calls<ListOptions>(command, context, (server, options) => list(server, context, options));
}

function stageOption(parent: Command) {
  return parent.createOption('--stage <stage>', 'only those at a stage').choices(Object.keys(stages));
}

async function list(server: Connection, { output }: CliContext, options: ListOptions): Promise<number> {
  const executions = await collectPages(options.limit, async (pageSize, pageToken) => {
    const stage = options.stage === undefined ? Stage.UNSPECIFIED : stages[options.stage];
    const page = await server.executions.listExecutions({ pageSize, pageToken, plugin: options.plugin ?? '', stage });
    return { items: page.executions, nextPageToken: page.nextPageToken };
  });
  if (options.json)
    output.json({ executions: executions.map((execution) => executionJson(execution, { withOutput: false })) });
  else output.print(tableText(['ID', 'STATUS', 'PLUGIN', 'FUNCTION', 'WALL', 'CREATED'], executions.map(rowOf)));
  return exitCodes.ok;
}

function rowOf(execution: Execution): readonly string[] {
  const { id, plugin, usage, createTime } = execution;
  return [
    id,
    statusText(execution),
    plugin,
    execution.function,
    usage ? durationText(usage.wallDuration) : '',
    timeText(createTime),
  ];
}

/** The outcome if there is one, else the stage. */
function statusText({ outcome, stage, error }: Execution): string {
  if (stage !== Stage.COMPLETED) return stageText(stage);
  return outcomeName(outcome) ?? (error === undefined ? String(outcome) : 'HOST FAILED');
}

function addShow(parent: Command, context: CliContext): void {
  const command = parent
    .command('show')
    .summary('show an execution as it stands')
    .argument('<id>', 'id of the execution')
    .addOption(addressOption())
    .addOption(jsonOption())
    .addHelpText('after', '\nExample:\n  caisson executions show 01976b0c-5f3e-7a31-9d6e-0f2b6c1f9a55 --json');
  calls<Options>(command, context, async (server, options, [id = '']) => {
    const { execution } = await server.executions.getExecution({ id });
    if (execution) printExecution(execution, context, options);
    return exitCodes.ok;
  });
}

function addCancel(parent: Command, context: CliContext): void {
  const command = parent
    .command('cancel')
    .summary('stop an execution and wait for its end')
    .argument('<id>', 'id of the execution')
    .addOption(addressOption())
    .addOption(jsonOption())
    .addHelpText('after', '\nExample:\n  caisson executions cancel 01976b0c-5f3e-7a31-9d6e-0f2b6c1f9a55');
  calls<Options>(command, context, async (server, options, [id = '']) => {
    const { execution } = await server.executions.cancelExecution({ id });
    if (execution) printExecution(execution, context, options);
    return exitCodes.ok;
  });
}

function printExecution(execution: Execution, { output }: CliContext, { json }: JsonOptions): void {
  if (json) return output.json(executionJson(execution, { withOutput: true }));
  const { usage } = execution;
  const labels = Object.entries(execution.labels).map(([key, value]) => `${key}=${value}`);
  const isFailed = execution.stage === Stage.COMPLETED && execution.outcome !== Outcome.OK;
  const facts: readonly (readonly [string, string | undefined])[] = [
    ['id', execution.id],
    ['status', statusText(execution)],
    ['failure', isFailed ? failureText(execution) : undefined],
    ['plugin', execution.plugin],
    ['digest', execution.digest],
    ['function', execution.function],
    ['request id', execution.requestId],
    ['labels', labels.join(', ')],
    ['created', timeText(execution.createTime)],
    ['ended', timeText(execution.endTime)],
    ['output', execution.outcome === Outcome.OK ? sizeText(execution.output.length) : undefined],
    ['usage', usage === undefined ? undefined : usageText(usage)],
    ['events', String(execution.lastSequence)],
  ];
  output.print(factsText(facts));
}

function addAttach(parent: Command, context: CliContext): void {
  const command = parent
    .command('attach')
    .summary('print the events of an execution until it ends')
    .description(
      'Prints the events of an execution, first those recorded, then live ones. The exit code is that of the outcome.',
    )
    .argument('<id>', 'id of the execution')
    .option('--after <sequence>', 'only events with a greater sequence', wholeNumber(0), 0)
    .addOption(addressOption())
    .addOption(jsonOption())
    .addHelpText(
      'after',
      '\nExamples:\n  caisson executions attach 01976b0c-5f3e-7a31-9d6e-0f2b6c1f9a55\n  caisson executions attach 01976b0c-5f3e-7a31-9d6e-0f2b6c1f9a55 --after 120 --json',
    );
  calls<AttachOptions>(command, context, (server, options, [id = '']) => attach(server, context, options, id));
}

async function attach(server: Connection, { output }: CliContext, options: AttachOptions, id: string): Promise<number> {
  const events = server.executions.attachExecution(
    { id, afterSequence: BigInt(options.after) },
    { signal: output.closed },
  );
  for await (const { event } of events) {
    if (event === undefined) continue;
    if (options.json) output.json(eventJson(event), { isLine: true });
    else output.line(eventText(event));
    if (event.event.case === 'outcome') return exitCodeOfOutcome(event.event.value.outcome);
  }
  return exitCodes.failure;
}

/** "12 2026-11-20T09:00:00.000Z progress 42% 12,345 rows" */
export function eventText({ sequence, time, coalesced, event }: ExecutionEvent): string {
  const gap = coalesced === 0n ? '' : ` (${coalesced} merged before)`;
  return `${sequence} ${timeText(time)} ${happenedText(event)}${gap}`;
}

function happenedText(event: ExecutionEvent['event']): string {
  switch (event.case) {
    case 'stage':
      return `stage ${stageText(event.value)}`;
    case 'progress': {
      const { fraction, message, data } = event.value;
      const share = fraction === undefined ? 'unknown' : `${(fraction * 100).toFixed(1)}%`;
      return `progress ${share} ${shown(message)}${data.length === 0 ? '' : ` (${sizeText(data.length)} of data)`}`.trimEnd();
    }
    case 'log':
      return `log ${logText(event.value)}`;
    case 'outcome':
      return event.value.outcome === Outcome.OK
        ? `outcome OK, ${sizeText(event.value.output.length)}`
        : `outcome ${failureText(event.value)}`;
    default:
      return 'an event that this client does not know';
  }
}
