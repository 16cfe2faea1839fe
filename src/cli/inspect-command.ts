/** `caisson plugin inspect`: shows what a module is made of, what rewriting makes of it, and what its functions cost. */

import type { Command } from 'commander';
import type {
  DescribedImport,
  DescribedMemory,
  DescribedTable,
  ModuleDescription,
  ModuleInspection,
} from '../model/module-description.ts';
import { type CliContext, type JsonOptions, jsonOption, runs } from './context.ts';
import { allowFeatureOption } from './exec-command.ts';
import { exitCodeOfRefusal, exitCodes } from './exit-codes.ts';
import { sizeText } from './forms.ts';
import { findManifest, readManifestFor, readModule } from './module-files.ts';
import { factsText, tableText } from './output.ts';
import { wholeNumber } from './values.ts';
import { verdictText } from './verdict.ts';

interface Options extends JsonOptions {
  readonly manifest?: string;
  readonly functions: number;
  readonly allowWasmFeature?: readonly string[];
}

const functionsDefault = 20;

const help = `
Examples:
  caisson plugin inspect build/echo.wasm
  caisson plugin inspect target/plugin.wasm --manifest plugin.json --functions 5
  caisson plugin inspect build/echo.wasm --json | jq '.module.functions[] | {name, cost}'

The cost of a function is that of all its instructions, each executed once, in units of fuel; loops, calls and
operations on many bytes or elements come on top when it runs. It compares under one version of the cost table only.

Without a manifest the default memory limit holds and every capability counts as granted. The exit code is 0 if the
module could be published and 20 if not. The server's own command for that is: caisson plugin validate`;

export function addInspectCommand(parent: Command, context: CliContext): void {
  const command = parent
    .command('inspect')
    .summary('show what a module is made of and what its functions cost, without a server')
    .description('Shows what a server sees in a module and makes of it. Works in this process and runs nothing of it.')
    .argument('<file>', 'the module, a .wasm file')
    .option('--manifest <file>', 'the manifest; default: <name>.json or plugin.json beside the module, if there is one')
    .option('--functions <count>', 'how many functions to show, the dearest first', wholeNumber(0), functionsDefault)
    .addOption(allowFeatureOption(context.dependencies.optionalFeatures))
    .addOption(jsonOption())
    .addHelpText('after', help);
  runs<Options>(command, context, (options, words) => inspect(context, options, words));
}

async function inspect(
  { dependencies, output }: CliContext,
  options: Options,
  [path = '']: readonly string[],
): Promise<number> {
  const module = await readModule(path);
  const manifest = options.manifest ?? (await findManifest(path));
  const inspection = dependencies.inspectModule({
    module,
    manifestText: manifest === undefined ? undefined : await readManifestFor(path, manifest),
    functionsMax: options.functions,
    allowedFeatures: options.allowWasmFeature ?? [],
  });
  if (options.json) output.json({ manifest, ...inspection });
  else output.print(inspectionText(inspection, manifest));
  return inspection.valid ? exitCodes.ok : exitCodeOfRefusal('INVALID_ARGUMENT');
}

function inspectionText(inspection: ModuleInspection, manifest: string | undefined): string {
  const { module, memoryBytesMax } = inspection;
  const facts = factsText([
    ['digest', inspection.digest],
    ['manifest', manifest ?? 'none: every capability counts as granted'],
    ['memory limit', sizeText(memoryBytesMax)],
    ...(module === undefined ? [] : moduleFacts(module)),
  ]);
  const parts = [verdictText(inspection) + facts, ...(module === undefined ? [] : tables(module))];
  return parts.filter((part) => part !== '').join('\n');
}

function moduleFacts(module: ModuleDescription): readonly (readonly [name: string, value: string | undefined])[] {
  const { bytes, codeBytes, counts, features, rewritten, refusal, costTableVersion, rewriterVersion } = module;
  return [
    ['size', changeText(bytes, rewritten?.bytes, rewritten?.ratio)],
    ['code', changeText(codeBytes, rewritten?.codeBytes, rewritten?.codeRatio)],
    ['not rewritten', refusal?.message],
    ['features', features.join(' ') || 'none'],
    ['functions', `${counts.functions} defined, ${counts.importedFunctions} imported`],
    ['cost table', `version ${costTableVersion}`],
    ['rewriter', `version ${rewriterVersion}`],
  ];
}

/** "1.0 KiB, 1.5 KiB as run (1.50 times)" */
function changeText(before: number, after: number | undefined, ratio: number | undefined): string {
  if (after === undefined || ratio === undefined) return sizeText(before);
  return `${sizeText(before)}, ${sizeText(after)} as run (${ratio.toFixed(2)} times)`;
}

function tables(module: ModuleDescription): readonly string[] {
  const { counts, sections, imports, exports, memories, tables: described, functions } = module;
  const limited = [
    ...memories.map((memory, index) => memoryRow(memory, index)),
    ...described.map((table, index) => tableRow(table, index)),
  ];
  return [
    listText(
      ['SECTION', 'OFFSET', 'BYTES', 'NAME'],
      sections.map(({ name, offset, bytes, customName = '' }) => [
        name,
        `0x${offset.toString(16)}`,
        String(bytes),
        customName,
      ]),
      counts.sections,
    ),
    listText(['IMPORT', 'PROVIDED BY', 'TYPE'], imports.map(importRow), counts.imports),
    listText(
      ['EXPORT', 'INDEX', 'TYPE'],
      exports.map(({ name, index, type }) => [name, String(index), type]),
      counts.exports,
    ),
    listText(
      ['MEMORY OR TABLE', 'MIN', 'MAX', 'MAX AS RUN', 'UNIT', 'ORIGIN'],
      limited,
      counts.memories + counts.tables,
    ),
    listText(
      ['COST', 'BYTES', 'AS RUN', 'INDEX', 'FUNCTION'],
      functions.map(({ cost, bodyBytes, rewrittenBodyBytes, index, name }) => [
        numberText(cost),
        String(bodyBytes),
        numberText(rewrittenBodyBytes),
        String(index),
        name,
      ]),
      counts.functions,
    ),
  ];
}

/** A table, and how many rows it does not show; nothing if there are none at all. */
function listText(header: readonly string[], rows: readonly (readonly string[])[], count: number): string {
  if (rows.length === 0) return '';
  return tableText(header, rows) + (count > rows.length ? `and ${count - rows.length} more\n` : '');
}

function importRow({ module, name, type, ...provider }: DescribedImport): readonly string[] {
  return [`${module}.${name}`, providerText(provider), type];
}

function providerText({ kind, capability, provided }: Omit<DescribedImport, 'module' | 'name' | 'type'>): string {
  if (capability !== undefined) return provided ? capability : `${capability}, not granted`;
  if (!provided) return 'nobody';
  return kind === 'function' ? 'every server' : 'the module itself';
}

function memoryRow(memory: DescribedMemory, index: number): readonly string[] {
  const { minPages, maxPages, clampedPages, imported } = memory;
  const sizes = [String(minPages), numberText(maxPages), numberText(clampedPages)];
  return [`memory ${index}`, ...sizes, 'pages', originText(imported)];
}

function tableRow(table: DescribedTable, index: number): readonly string[] {
  const { minElements, maxElements, clampedElements, elementType, imported } = table;
  const sizes = [String(minElements), numberText(maxElements), numberText(clampedElements)];
  return [`table ${index}`, ...sizes, elementType, originText(imported)];
}

function originText(imported: boolean): string {
  return imported ? 'imported' : 'defined';
}

function numberText(value: number | undefined): string {
  return value === undefined ? '-' : String(value);
}
