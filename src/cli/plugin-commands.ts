/** `caisson plugin`: publish, validate, inspect, explain, list, show, start, stop, retire, warm and delete plugins of a server. */

import { toJson } from '@bufbuild/protobuf';
import { type Command, Option } from 'commander';
import {
  type DeletePluginResponse,
  DeletePluginResponseSchema,
  type PluginHealth,
  type PluginVersion,
  PluginVersionSchema,
  type ValidationReport,
  ValidationReportSchema,
} from '../gen/caisson/v1/plugin_pb.ts';
import { type Connection, uploadParts } from './connection.ts';
import { addressOption, type CliContext, calls, type JsonOptions, jsonOption, type ServerOptions } from './context.ts';
import { exitCodeOfRefusal, exitCodes } from './exit-codes.ts';
import { addExplainCommand } from './explain-command.ts';
import { healthText, sizeText, stateText, timeText } from './forms.ts';
import { addInspectCommand } from './inspect-command.ts';
import { readManifestFor, readModule } from './module-files.ts';
import { factsText, type Output, shown, tableText } from './output.ts';
import { collectPages, pageLimitOption } from './pages.ts';
import { wholeNumber } from './values.ts';
import { verdictText } from './verdict.ts';

type Options = ServerOptions & JsonOptions;
type UploadOptions = Options & { readonly manifest?: string };
type WarmOptions = Options & { readonly threads: number };
type DeleteOptions = Options & { readonly keepStorage?: true };
type ListOptions = Options & { readonly name?: string; readonly limit: number };

/** As many as any server takes. */
const threadsMax = 1_024;
const referenceHelp = 'name@version, or sha256:<digest>';

export function addPluginCommands(program: Command, context: CliContext): void {
  const plugin = program
    .command('plugin')
    .summary('publish, validate, inspect, list and manage plugins')
    .description('Works with the plugins of a server, and looks into modules before they are published.');
  addPublish(plugin, context);
  addValidate(plugin, context);
  addInspectCommand(plugin, context);
  addExplainCommand(plugin, context);
  addList(plugin, context);
  addShow(plugin, context);
  addChange(plugin, context, 'start', 'make a version accept executions again', (server, reference) =>
    server.plugins.startPlugin({ plugin: reference }),
  );
  addChange(plugin, context, 'stop', 'make a version refuse new executions', (server, reference) =>
    server.plugins.stopPlugin({ plugin: reference }),
  );
  addChange(plugin, context, 'retire', 'withdraw a version for good; its number stays taken', (server, reference) =>
    server.plugins.retirePlugin({ plugin: reference }),
  );
  addWarm(plugin, context);
  addDelete(plugin, context);
}

function addPublish(parent: Command, context: CliContext): void {
  const command = uploadCommand(parent, 'publish', 'store a new version and start it').addHelpText(
    'after',
    '\nExamples:\n  caisson plugin publish build/echo.wasm\n  caisson plugin publish target/plugin.wasm --manifest plugin.json',
  );
  calls<UploadOptions>(command, context, async (server, options, [path = '']) => {
    const { plugin, created, report } = await server.plugins.publishPlugin(await uploadOf(path, options));
    if (options.json)
      context.output.json({ plugin: plugin && pluginJson(plugin), created, report: report && reportJson(report) });
    else if (plugin)
      context.output.line(
        `${created ? 'Published' : 'Already there:'} ${referenceText(plugin)} (${shown(plugin.digest)})`,
      );
    return exitCodes.ok;
  });
}

function addValidate(parent: Command, context: CliContext): void {
  const command = uploadCommand(
    parent,
    'validate',
    'check a module and its manifest as publish would, and store nothing',
  ).addHelpText(
    'after',
    '\nExample:\n  caisson plugin validate build/echo.wasm\n\nThe exit code is 0 if it could be published and 20 if not.',
  );
  calls<UploadOptions>(command, context, async (server, options, [path = '']) => {
    const { report } = await server.plugins.validatePlugin(await uploadOf(path, options));
    if (report === undefined) return exitCodes.failure;
    if (options.json) context.output.json(reportJson(report));
    else printReport(report, context.output);
    return report.valid ? exitCodes.ok : exitCodeOfRefusal('INVALID_ARGUMENT');
  });
}

function uploadCommand(parent: Command, name: string, summary: string): Command {
  return parent
    .command(name)
    .summary(summary)
    .argument('<file>', 'the module, a .wasm file')
    .option('--manifest <file>', 'the manifest; default: <name>.json or plugin.json beside the module')
    .addOption(addressOption())
    .addOption(jsonOption());
}

async function uploadOf(path: string, { manifest }: UploadOptions) {
  return uploadParts({ module: await readModule(path), manifestText: await readManifestFor(path, manifest) });
}

function addList(parent: Command, context: CliContext): void {
  const command = parent
    .command('list')
    .summary('list versions, by name and then newest first')
    .option('--name <name>', 'only versions of one plugin')
    .addOption(pageLimitOption())
    .addOption(addressOption())
    .addOption(jsonOption())
    .addHelpText('after', '\nExamples:\n  caisson plugin list\n  caisson plugin list --name echo --json');
  calls<ListOptions>(command, context, async (server, options) => {
    const plugins = await collectPages(options.limit, async (pageSize, pageToken) => {
      const page = await server.plugins.listPlugins({ pageSize, pageToken, name: options.name ?? '' });
      return { items: page.plugins, nextPageToken: page.nextPageToken };
    });
    if (options.json) context.output.json({ plugins: plugins.map(pluginJson) });
    else
      context.output.print(
        tableText(['NAME', 'VERSION', 'STATE', 'HEALTH', 'SIZE', 'FUNCTIONS', 'PUBLISHED'], plugins.map(rowOf)),
      );
    return exitCodes.ok;
  });
}

function rowOf(plugin: PluginVersion): readonly string[] {
  const { name, version, state, health, sizeBytes, functions, createTime } = plugin;
  const fares = health ? healthText(health.state) : '';
  return [name, version, stateText(state), fares, sizeText(sizeBytes), functions.join(' '), timeText(createTime)];
}

function addShow(parent: Command, context: CliContext): void {
  const command = parent
    .command('show')
    .summary('show a version')
    .argument('<reference>', 'name (the latest running version), name@version, or sha256:<digest>')
    .addOption(addressOption())
    .addOption(jsonOption())
    .addHelpText('after', '\nExamples:\n  caisson plugin show echo\n  caisson plugin show echo@1.0.0 --json');
  calls<Options>(command, context, async (server, options, [reference = '']) => {
    const { plugin } = await server.plugins.getPlugin({ plugin: reference });
    if (plugin) printPlugin(plugin, context.output, options);
    return exitCodes.ok;
  });
}

function addChange(
  parent: Command,
  context: CliContext,
  name: string,
  summary: string,
  change: (server: Connection, reference: string) => Promise<{ readonly plugin?: PluginVersion | undefined }>,
): void {
  const command = parent
    .command(name)
    .summary(summary)
    .argument('<reference>', referenceHelp)
    .addOption(addressOption())
    .addOption(jsonOption())
    .addHelpText('after', `\nExample:\n  caisson plugin ${name} echo@1.0.0`);
  calls<Options>(command, context, async (server, { json }, [reference = '']) => {
    const { plugin } = await change(server, reference);
    if (plugin === undefined) return exitCodes.ok;
    if (json) context.output.json(pluginJson(plugin));
    else context.output.line(`${referenceText(plugin)} is ${stateText(plugin.state)}`);
    return exitCodes.ok;
  });
}

function addWarm(parent: Command, context: CliContext): void {
  const command = parent
    .command('warm')
    .summary('have instances of a version prepared, starting it if need be')
    .argument('<reference>', referenceHelp)
    .addOption(
      new Option('--threads <count>', 'on how many threads; 0 for all that there are')
        .argParser(wholeNumber(0, threadsMax))
        .default(0),
    )
    .addOption(addressOption())
    .addOption(jsonOption())
    .addHelpText(
      'after',
      '\nExamples:\n  caisson plugin warm echo@1.0.0\n  caisson plugin warm echo@1.0.0 --threads 2',
    );
  calls<WarmOptions>(command, context, async (server, options, [reference = '']) => {
    const { plugin, threads, instances } = await server.plugins.warmPlugin({
      plugin: reference,
      threads: options.threads,
    });
    if (options.json) context.output.json({ plugin: plugin && pluginJson(plugin), threads, instances });
    else context.output.line(`${shown(reference)} has ${instances} instances ready on ${threads} threads`);
    return exitCodes.ok;
  });
}

function addDelete(parent: Command, context: CliContext): void {
  const command = parent
    .command('delete')
    .summary('remove a stopped, failed or retired version')
    .description(
      'Removes a stopped, failed or retired version. With the last version of a name goes what its runs have stored, of all tenants.',
    )
    .argument('<reference>', referenceHelp)
    .option('--keep-storage', 'keep what its runs have stored, for a later version of the same name')
    .addOption(addressOption())
    .addOption(jsonOption())
    .addHelpText('after', '\nExample:\n  caisson plugin stop echo@1.0.0 && caisson plugin delete echo@1.0.0');
  calls<DeleteOptions>(command, context, async (server, { json, keepStorage = false }, [reference = '']) => {
    const deleted = await server.plugins.deletePlugin({ plugin: reference, keepStorage });
    if (json) context.output.json(toJson(DeletePluginResponseSchema, deleted, { alwaysEmitImplicit: true }));
    else context.output.line(`Deleted ${shown(reference)}${storageText(deleted)}`);
    return exitCodes.ok;
  });
}

function storageText({ storageKeysDeleted: keys, storageBytesDeleted: bytes }: DeletePluginResponse): string {
  return keys === 0n ? '' : `, and with it ${keys} keys (${sizeText(bytes)}) that its runs had stored`;
}

function referenceText({ name, version }: PluginVersion): string {
  return shown(`${name}@${version}`);
}

function pluginJson(plugin: PluginVersion): object {
  return toJson(PluginVersionSchema, plugin) as object;
}

function reportJson(report: ValidationReport): object {
  return toJson(ValidationReportSchema, report, { alwaysEmitImplicit: true }) as object;
}

function printPlugin(plugin: PluginVersion, output: Output, { json }: JsonOptions): void {
  if (json) return output.json(pluginJson(plugin));
  output.print(
    factsText([
      ['plugin', `${plugin.name}@${plugin.version}`],
      ['state', stateText(plugin.state)],
      ['failure', plugin.failure],
      ['health', plugin.health && healthLine(plugin.health)],
      ['checked', timeText(plugin.health?.checkTime)],
      ['digest', plugin.digest],
      ['size', sizeText(plugin.sizeBytes)],
      ['functions', plugin.functions.join(' ')],
      ['capabilities', plugin.capabilities.join(' ') || 'none'],
      ['published', timeText(plugin.createTime)],
      ['changed', timeText(plugin.updateTime)],
    ]),
  );
}

/** "degraded since 2026-11-20T09:00:00.000Z: 5 of the last 20 runs trapped" */
function healthLine({ state, reasons, changeTime }: PluginHealth): string {
  const why = reasons.length === 0 ? '' : `: ${reasons.join('; ')}`;
  return `${healthText(state)} since ${timeText(changeTime)}${why}`;
}

function printReport(report: ValidationReport, output: Output): void {
  output.print(verdictText(report));
  output.print(
    factsText([
      ['digest', report.digest],
      ['functions', report.functions.join(' ')],
      ['features', report.features.join(' ') || 'none'],
      ['imports', report.imports.map(({ module, name }) => `${module}.${name}`).join(' ')],
      [
        'memories',
        report.memories.map(({ minPages, clampedPages }) => `${minPages} to ${clampedPages} pages`).join(', '),
      ],
      [
        'size',
        report.sizes && `${sizeText(report.sizes.moduleBytes)}, ${sizeText(report.sizes.rewrittenBytes)} as run`,
      ],
    ]),
  );
}
