/**
 * Follows an execution to its end: progress to the bar, guest log lines to
 * stderr, interrupts to whoever can cancel. The same for a server's execution
 * and for one in this process.
 */

import type { CliContext } from './context.ts';
import { type Execution, type ExecutionEvent, LogLevel } from '../gen/caisson/v1/execution_pb.ts';
import { nameIn } from './forms.ts';
import { shown } from './output.ts';
import { progressBarOn } from './progress-bar.ts';

export interface FollowOptions {
  /** Shows guest log lines of every level instead of warnings and errors only. */
  readonly verbose: boolean;
  /** Asks the execution to stop; its outcome is still awaited. The id is empty before the first event. */
  cancel(executionId: string): void;
  /** Stops waiting. */
  abandon(): void;
}

/** Thrown when the user interrupted for the second time. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted';

  constructor() {
    super('Interrupted before the execution had ended');
  }
}

/** The ended execution; undefined if the events end without an outcome. */
export async function follow(
  events: AsyncIterable<ExecutionEvent>,
  { dependencies, output }: CliContext,
  options: FollowOptions,
): Promise<Execution | undefined> {
  using bar = progressBarOn(output);
  let executionId = '';
  let interrupts = 0;
  using _ = dependencies.onInterrupt(() => {
    interrupts++;
    if (interrupts === 1) bar.note('caisson: canceling; interrupt again to leave at once');
    if (interrupts === 1) options.cancel(executionId);
    else options.abandon();
  });
  try {
    for await (const event of events) {
      executionId = event.executionId;
      const { event: happened } = event;
      if (happened.case === 'progress') bar.update(happened.value);
      else if (happened.case === 'log' && isShown(happened.value.level, options)) bar.note(logText(happened.value));
      else if (happened.case === 'outcome') return happened.value;
    }
  } catch (error) {
    throw interrupts > 1 ? new Interrupted() : error;
  }
  if (interrupts > 1) throw new Interrupted();
  return undefined;
}

function isShown(level: LogLevel, { verbose }: FollowOptions): boolean {
  return verbose || level >= LogLevel.WARN;
}

/** "[warn] text" */
export function logText({ level, message }: { readonly level: LogLevel; readonly message: string }): string {
  return `[${nameIn(LogLevel, level).toLowerCase()}] ${shown(message)}`;
}
