/** `caisson plugin explain`: shows what a plugin asks for, what a policy allows of it, and what to add where. */

import { stat } from 'node:fs/promises';
import { type Command, Option } from 'commander';
import type { ExplainedLimit, ExplainedPart, GrantExplanation } from '../model/grant-explanation.ts';
import { refusalText } from '../model/grant-refusal.ts';
import type { DescribedImport, ModuleInspection } from '../model/module-description.ts';
import { tenantDefault } from '../model/tenant.ts';
import { addressOption, type CliContext, type JsonOptions, jsonOption, runs, type ServerOptions } from './context.ts';
import { exitCodeOfRefusal, exitCodes } from './exit-codes.ts';
import { LocalError, UsageError } from './failure.ts';
import { readManifestFor, readModule } from './module-files.ts';
import { factsText, shown, tableText } from './output.ts';
import { verdictText } from './verdict.ts';

interface Options extends ServerOptions, JsonOptions {
  readonly manifest?: string;
  readonly policy?: string;
}

const help = `
Examples:
  caisson plugin explain build/fetch.wasm
  caisson plugin explain build/fetch.wasm --policy policy.json --tenant acme
  caisson plugin explain fetch@1.2.0 --policy policy.json --json | jq '.refusals[].text'

A file is judged in this process, a name by the manifest that the server has of it; the policy is always the one named
here, and without one the built-in policy. The exit code is 0 if the plugin is granted what it needs to be published and
to run for the tenant, and 20 if not. Hosts, secrets, folders and plugins that are refused do not count: only using them
is denied.`;

export function addExplainCommand(parent: Command, context: CliContext): void {
  const command = parent
    .command('explain')
    .summary('show what a plugin is granted under a policy, and what to add where')
    .description('Shows what a plugin asks for, which rule of a policy allows it, and the lines that are missing.')
    .argument('<plugin>', 'a module, a .wasm file; or name, name@version or sha256:<digest> on a server')
    .option('--manifest <file>', 'the manifest of a file; default: <name>.json or plugin.json beside the module')
    .addOption(
      new Option('--policy <file>', 'what tenants and plugins are allowed; default: the built-in policy').env(
        'CAISSON_POLICY',
      ),
    )
    .addOption(addressOption())
    .addOption(jsonOption())
    .addHelpText('after', help);
  runs<Options>(command, context, (options, words) => explain(context, options, words));
}

/** What there is to explain: a manifest, and a module if it is at hand. */
interface Subject {
  readonly manifestText: string;
  readonly inspection?: ModuleInspection;
}

async function explain(context: CliContext, options: Options, [word = '']: readonly string[]): Promise<number> {
  const { dependencies, output } = context;
  const subject = (await isFile(word))
    ? await subjectOfFile(context, options, word)
    : await askFor(context, options, word);
  const { manifestText, inspection } = subject;
  const tenant = options.tenant ?? tenantDefault;
  const explanation = await dependencies.explainGrant({ manifestText, policyPath: options.policy, tenant });
  if (explanation === undefined) return unacceptable(context, options, inspection);
  const report = reportOn(explanation, inspection);
  if (options.json) output.json({ policy: options.policy, ...report });
  else output.print(reportText(report, options.policy));
  return report.granted ? exitCodes.ok : exitCodeOfRefusal('INVALID_ARGUMENT');
}

async function isFile(word: string): Promise<boolean> {
  if (word.endsWith('.wasm') || word.includes('/')) return true;
  return stat(word).then(
    (found) => found.isFile(),
    () => false,
  );
}

async function subjectOfFile({ dependencies }: CliContext, options: Options, path: string): Promise<Subject> {
  const module = await readModule(path);
  const manifestText = await readManifestFor(path, options.manifest);
  const allowedFeatures = dependencies.optionalFeatures;
  return {
    manifestText,
    inspection: dependencies.inspectModule({ module, manifestText, functionsMax: 0, allowedFeatures }),
  };
}

async function askFor({ dependencies }: CliContext, options: Options, reference: string): Promise<Subject> {
  if (options.manifest !== undefined)
    throw new UsageError('--manifest is for files: the server has the manifest of a plugin');
  const { address, tenant } = options;
  using server = dependencies.connect({ address, ...(tenant !== undefined && { tenant }) });
  const { plugin } = await server.plugins.getPlugin({ plugin: reference });
  return { manifestText: plugin?.manifest ?? '' };
}

/** Nothing can be granted to a manifest that is wrong: only its mistakes are shown. */
function unacceptable({ output }: CliContext, options: Options, inspection: ModuleInspection | undefined): number {
  if (inspection === undefined)
    throw new LocalError('This command does not understand the manifest that the server has');
  const { valid, problems } = inspection;
  if (options.json) output.json({ policy: options.policy, granted: false, problems });
  else output.print(verdictText({ valid, problems }));
  return exitCodeOfRefusal('INVALID_ARGUMENT');
}

interface ExplainedImport {
  readonly module: string;
  readonly name: string;
  /** Absent if none is needed, or if nobody provides the import. */
  readonly capability?: string;
  readonly asked: boolean;
  readonly allowedBy: readonly string[];
  readonly granted: boolean;
}

interface Report extends Omit<GrantExplanation, 'refusals' | 'partRefusals'> {
  /** Whether it could be published and run. */
  readonly granted: boolean;
  /** Absent if the module is not at hand. */
  readonly imports?: readonly ExplainedImport[];
  /** What else stands against publishing. */
  readonly problems: ModuleInspection['problems'];
  readonly refusals: readonly ExplainedRefusal[];
  readonly partRefusals: readonly ExplainedRefusal[];
}

type ExplainedRefusal = GrantExplanation['refusals'][number] & { readonly text: string };

function reportOn(explanation: GrantExplanation, inspection: ModuleInspection | undefined): Report {
  const withText = (refusal: GrantExplanation['refusals'][number]): ExplainedRefusal => ({
    ...refusal,
    text: refusalText(refusal),
  });
  const imports = inspection?.module?.imports;
  return {
    ...explanation,
    granted: explanation.refusals.length === 0 && inspection?.valid !== false,
    ...(imports && { imports: imports.map((one) => explainImport(one, explanation)) }),
    problems: inspection?.problems ?? [],
    refusals: explanation.refusals.map(withText),
    partRefusals: explanation.partRefusals.map(withText),
  };
}

function explainImport(described: DescribedImport, { capabilities }: GrantExplanation): ExplainedImport {
  const { module, name, capability, provided } = described;
  const found = capabilities.find((one) => one.capability === capability);
  if (found === undefined) return { module, name, asked: provided, allowedBy: [], granted: provided };
  const { asked, allowedBy, granted } = found;
  return { module, name, capability: found.capability, asked, allowedBy, granted: provided && granted };
}

function reportText(report: Report, policy: string | undefined): string {
  const parts = [
    factsText([
      ['plugin', report.plugin],
      ['tenant', report.tenant],
      ['policy', policy ?? 'the built-in one'],
      ['rules that match', rulesText(report.rules)],
    ]),
    report.imports === undefined ? capabilitiesText(report) : importsText(report.imports),
    partsText(report.parts),
    tableText(['LIMIT', 'VALUE', 'SET BY'], report.limits.map(limitRow)),
    missingText(report),
  ];
  return parts.filter((part) => part !== '').join('\n');
}

function importsText(imports: readonly ExplainedImport[]): string {
  if (imports.length === 0) return '';
  return tableText(
    ['IMPORT', 'CAPABILITY', 'ASKED', 'ALLOWED BY', 'GRANTED'],
    imports.map(({ module, name, capability, asked, allowedBy, granted }) => {
      const place = `${module}.${name}`;
      if (capability === undefined) return [place, '-', '-', granted ? 'every server' : 'nobody', yesOrNo(granted)];
      return [place, capability, yesOrNo(asked), rulesText(allowedBy), yesOrNo(granted)];
    }),
  );
}

/** The same without a module: what the manifest asks for. */
function capabilitiesText({ capabilities }: Report): string {
  const asked = capabilities.filter((one) => one.asked);
  if (asked.length === 0) return '';
  return tableText(
    ['CAPABILITY', 'ALLOWED BY', 'GRANTED'],
    asked.map(({ capability, allowedBy, granted }) => [capability, rulesText(allowedBy), yesOrNo(granted)]),
  );
}

function partsText(parts: readonly ExplainedPart[]): string {
  if (parts.length === 0) return '';
  return tableText(
    ['KIND', 'ASKED', 'ALLOWED BY', 'GRANTED', 'AS'],
    parts.map(({ kind, asked, allowedBy, granted, detail }) => [
      kind,
      asked,
      rulesText(allowedBy),
      yesOrNo(granted),
      detail,
    ]),
  );
}

function limitRow({ name, value, setBy, rule }: ExplainedLimit): readonly string[] {
  return [name, String(value), rule === undefined ? setBy : `rule "${rule}"`];
}

function missingText({ granted, problems, refusals, partRefusals }: Report): string {
  const manifestLines = new Set(problems.map(({ manifestLine }) => manifestLine).filter((line) => line !== ''));
  const others = problems.filter(
    ({ reason, manifestLine }) => reason !== 'CAPABILITY_NOT_GRANTED' || manifestLine === '',
  );
  const lines = [
    ...[...manifestLines].map((line) => `To the manifest: ${line}`),
    ...refusals.map(({ text }) => `To the policy: ${text}`),
    ...others.map(({ reason, location, message }) => `${reason} at ${location}: ${message}`),
    ...partRefusals.map(({ text }) => `Denied when used: ${text}`),
  ];
  const verdict = granted ? 'It is granted all that it needs.' : 'It could not be published.';
  return [verdict, ...lines.map((line) => `  ${shown(line)}`), ''].join('\n');
}

function rulesText(rules: readonly string[]): string {
  return rules.length === 0 ? 'no rule' : rules.map((name) => `"${name}"`).join(', ');
}

function yesOrNo(value: boolean): string {
  return value ? 'yes' : 'no';
}
