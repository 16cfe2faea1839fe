/**
 * The `caisson` command: reads the command line, runs one command, answers with
 * an exit code. What the commands do stands in the files beside this one.
 */

import { Command, CommanderError } from 'commander';
import { type CliContext, tenantOption } from './context.ts';
import type { CliDependencies } from './dependencies.ts';
import { addDoctorCommand } from './doctor-command.ts';
import { addExecCommand, addRunCommand } from './exec-command.ts';
import { addExecutionsCommands } from './executions-commands.ts';
import { exitCodeHelp, exitCodes } from './exit-codes.ts';
import { failureJson, failureLine, failureOf } from './failure.ts';
import { Interrupted } from './follow.ts';
import { Output } from './output.ts';
import { addPluginCommands } from './plugin-commands.ts';
import { addServeCommand } from './serve-command.ts';
import { addServerCommands } from './server-commands.ts';

export interface Cli {
  /** Runs the command of these words, without program names, and answers with the exit code. Never rejects. */
  run(words: readonly string[]): Promise<number>;
}

export function createCli(dependencies: CliDependencies): Cli {
  return {
    run: async (words) => {
      const output = new Output(dependencies.stdout, dependencies.stderr);
      const context: CliContext = { dependencies, output, exitCode: exitCodes.ok };
      try {
        await programOf(context).parseAsync([...words], { from: 'user' });
      } catch (error) {
        // What fails because nobody reads any more is nobody's to be told.
        if (!output.closed.aborted) context.exitCode = reportFailure(error, output, words.includes('--json'));
      }
      return output.closed.aborted ? exitCodes.brokenPipe : context.exitCode;
    },
  };
}

const overview = `
Examples:
  caisson serve --publish plugins-examples/build
  caisson plugin list
  caisson exec csv-transform transform --input orders.csv --config select=name,amount

Each command has a help of its own: caisson exec --help
`;

function programOf(context: CliContext): Command {
  const { dependencies, output } = context;
  const program = new Command('caisson')
    .description('Runs untrusted WebAssembly plugins safely, over gRPC.')
    .version(dependencies.version, '--version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .configureHelp({ showGlobalOptions: true })
    .addOption(tenantOption())
    .exitOverride()
    .configureOutput({
      writeOut: (text) => output.print(text),
      writeErr: (text) => output.note(text.trimEnd()),
      // Reported once, by reportFailure.
      outputError: () => {},
      getOutHelpWidth: () => output.columns,
      getErrHelpWidth: () => output.columns,
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    })
    .addHelpText('after', overview + exitCodeHelp);
  addServeCommand(program, context);
  addExecCommand(program, context);
  addRunCommand(program, context);
  addPluginCommands(program, context);
  addExecutionsCommands(program, context);
  addServerCommands(program, context);
  addDoctorCommand(program, context);
  return program;
}

/** Tells what went wrong, on stderr, and answers with the exit code. */
function reportFailure(error: unknown, output: Output, isJson: boolean): number {
  if (error instanceof Interrupted) return exitCodes.interrupted;
  // Help was asked for, or printed because there was no command.
  if (error instanceof CommanderError && error.code.startsWith('commander.help')) {
    return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
  }
  if (error instanceof CommanderError && error.exitCode === 0) return exitCodes.ok;
  const failure = failureOf(error);
  output.note(isJson ? JSON.stringify(failureJson(failure)) : failureLine(failure));
  return failure.exitCode;
}
