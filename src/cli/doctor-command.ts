/** `caisson doctor`: looks whether everything that Caisson needs is there, and says what to do where it is not. */

import { type Command, Option } from 'commander';
import { addressOption, type CliContext, type JsonOptions, jsonOption, runs, type ServerOptions } from './context.ts';
import type { DoctorCheck, DoctorReport } from './dependencies.ts';
import { checkDataDirectory, checkNode, checkServer, checkWebAssembly } from './doctor-checks.ts';
import { exitCodes } from './exit-codes.ts';
import { shown } from './output.ts';
import { dataDirectoryDefault } from './serve-command.ts';

type Options = ServerOptions & JsonOptions & { readonly dataDir: string };

export function addDoctorCommand(program: Command, context: CliContext): void {
  const { dependencies, output } = context;
  const command = program
    .command('doctor')
    .summary('check that everything Caisson needs is there')
    .description(
      'Checks Node, data directory, WebAssembly, the embedded kernel, and the server or its port. The exit code is 1 if anything fails.',
    )
    .addOption(
      new Option('--data-dir <path>', 'where plugins are kept')
        .env('CAISSON_DATA_DIR')
        .default(dataDirectoryDefault(dependencies.environment)),
    )
    .addOption(addressOption())
    .addOption(jsonOption())
    .addHelpText(
      'after',
      '\nExamples:\n  caisson doctor\n  caisson doctor --address unix:/run/caisson/caisson.sock --json',
    );
  runs<Options>(command, context, async (options) => {
    const report = await examine(context, options);
    if (options.json) output.json(report);
    else for (const check of report.checks) output.line(checkText(check));
    return report.ok ? exitCodes.ok : exitCodes.failure;
  });
}

async function examine({ dependencies }: CliContext, { dataDir, address }: Options): Promise<DoctorReport> {
  const checks = [
    checkNode(process.versions.node),
    checkWebAssembly(),
    await checkDataDirectory(dataDir),
    await checkServer(address, dependencies.connect),
    ...(await dependencies.diagnose()),
  ];
  return { ok: checks.every((check) => check.ok), checks };
}

function checkText({ name, ok, message, remedy }: DoctorCheck): string {
  const line = `${ok ? 'OK  ' : 'FAIL'} ${name}: ${shown(message)}`;
  return remedy === undefined ? line : `${line}\n     ${shown(remedy)}`;
}
