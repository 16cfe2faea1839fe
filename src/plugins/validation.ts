/**
 * Sets a manifest beside what analysis found in its module and reports
 * everything that stands against publishing them. Pure: reads and compiles
 * nothing.
 */

import type { Digest } from '../base/digest.ts';
import { suggestion } from '../base/near-names.ts';
import { hasControlCharacter } from '../base/text.ts';
import { type CapabilityName, wasiModule } from '../model/capability.ts';
import { ExecError } from '../model/exec-error.ts';
import type { GrantRefusal } from '../model/grant.ts';
import { refusalText } from '../model/grant-refusal.ts';
import type { ModuleAnalysis } from '../sandbox/compiler.ts';
import type { ExportInfo, ImportInfo, ModuleInfo } from '../wasm/inspect.ts';
import { reservedPrefix } from '../wasm/policy.ts';
import { shownName } from '../wasm/problem.ts';
import { capabilitiesLine, type ImportVerdict, importLocation, judgeImport, shownType } from './imports.ts';
import { functionNameBytesMax, functionsMax, type ManifestReading } from './manifest-schema.ts';
import {
  type ReportedExport,
  type ReportedImport,
  type ReportedMemory,
  type ReportedSizes,
  type ReportedTable,
  reportBounds,
  type ValidationProblem,
  type ValidationReport,
} from './report.ts';

export interface ValidationSubject {
  readonly manifest: ManifestReading;
  readonly analysis: ModuleAnalysis;
  readonly digest: Digest;
  readonly sizeBytes: number;
  /** Capabilities that the operator's policy refuses whoever publishes; absent if no policy is asked. */
  readonly refusals?: readonly GrantRefusal[];
}

/** Everything that is to be said about a manifest and a module. */
export function validate(subject: ValidationSubject): ValidationReport {
  const { manifest, analysis, refusals = [] } = subject;
  const { info } = analysis;
  const parts = partsToJudge(analysis);
  const rights = { asked: manifest.capabilities, refusals };
  const imports = parts.imports.map((entry) => ({ info: entry, verdict: judgeImport(entry, rights) }));
  const isOwn = isCommand(parts) ? isExecutableInCommand : hasExecutableForm;
  const candidates = new Set(parts.exports.filter(isOwn).map(({ name }) => name));
  const functions = new Set((manifest.functions ?? [...candidates]).filter((name) => candidates.has(name)));
  const problems = [
    ...manifest.violations.map(({ field, description }) => problem('MANIFEST_INVALID', field, description)),
    ...analysis.problems.map(({ reason, location, message }) =>
      problem(reason, location.replace(/^import /, ''), message),
    ),
    ...importProblems(imports, manifest.capabilities),
    ...refusalProblems(imports, refusals, manifest.capabilities ?? []),
    ...(info?.exports.length === parts.exports.length
      ? functionProblems({ info, listed: manifest.functions, candidates, functions })
      : []),
  ];
  return {
    valid: info !== undefined && problems.length === 0,
    problems: bounded(problems),
    digest: subject.digest,
    imports: imports.slice(0, reportBounds.imports).map(reportImport),
    exports: parts.exports.slice(0, reportBounds.exports).map((entry) => reportExport(entry, functions)),
    features: info?.features ?? [],
    memories: reportMemories(analysis),
    tables: reportTables(analysis),
    sizes: reportSizes(subject),
    functions: [...functions].sort().slice(0, functionsMax),
    otherFunctions: otherFunctions(parts.exports, functions),
  };
}

function otherFunctions(exports: ModuleInfo['exports'], functions: ReadonlySet<string>): readonly string[] {
  const others = exports.filter(({ kind, name }) => kind === 'function' && !functions.has(name));
  return others
    .map(({ name }) => name)
    .sort()
    .slice(0, reportBounds.otherFunctions);
}

/** Imports and exports: all of them, or the first ones if the module is refused anyway and may have very many. */
function partsToJudge({ info, problems }: ModuleAnalysis): Pick<ModuleInfo, 'imports' | 'exports'> {
  const { imports = [], exports = [] } = info ?? {};
  if (problems.length === 0) return { imports, exports };
  return { imports: imports.slice(0, reportBounds.imports), exports: exports.slice(0, exportsJudgedMax) };
}

/** As many as the default policy allows. */
const exportsJudgedMax = 10_000;

/** The refusal of a publish for what the report says: the first problem as reason and message, all of them as violations. */
export function refusalOf(report: ValidationReport): ExecError {
  const [first] = report.problems;
  if (!first) return new ExecError('INTERNAL', 'A valid report refuses nothing');
  const more = report.problems.length - 1;
  const rest = more === 0 ? '' : ` (and ${more} more ${more === 1 ? 'problem' : 'problems'})`;
  const mend = first.manifestLine === '' ? '' : `: set ${first.manifestLine}`;
  return new ExecError(first.reason, `${first.location}: ${first.message}${mend}${rest}`, {
    violations: report.problems.map(({ location, message, manifestLine }) => ({
      field: location,
      description: manifestLine === '' ? message : `${message}: set ${manifestLine}`,
    })),
    metadata: first.manifestLine === '' ? {} : { manifest_line: first.manifestLine },
  });
}

function problem(
  reason: ValidationProblem['reason'],
  location: string,
  message: string,
  manifestLine = '',
): ValidationProblem {
  return { reason, location, message, manifestLine };
}

function bounded(problems: readonly ValidationProblem[]): readonly ValidationProblem[] {
  const most = reportBounds.problems;
  const last = problems[most - 1];
  if (problems.length <= most || last === undefined) return problems;
  const more = problem(
    last.reason,
    'module',
    `${problems.length - most + 1} more problems are not listed: mend these first`,
  );
  return [...problems.slice(0, most - 1), more];
}

interface JudgedImport {
  readonly info: ImportInfo;
  readonly verdict: ImportVerdict;
}

function importProblems(
  imports: readonly JudgedImport[],
  asked: readonly CapabilityName[] | undefined,
): readonly ValidationProblem[] {
  const missing = imports.filter((judged) => isUnasked(judged, asked)).map(({ verdict }) => verdict.capability);
  const mended = capabilitiesLine(asked ?? [], new Set(missing.filter((name) => name !== undefined)));
  return imports.flatMap((judged) => {
    const { info, verdict } = judged;
    if (!verdict.problem) return [];
    const { reason, message } = verdict.problem;
    return [problem(reason, importLocation(info), message, isUnasked(judged, asked) ? mended : '')];
  });
}

/** Whether the manifest would have to ask for more. */
function isUnasked({ verdict }: JudgedImport, asked: readonly CapabilityName[] | undefined): boolean {
  const { capability, problem } = verdict;
  return (
    problem?.reason === 'CAPABILITY_NOT_GRANTED' && capability !== undefined && asked?.includes(capability) === false
  );
}

/** Capabilities that are asked for and refused although nothing of them is imported: every run would be denied. */
function refusalProblems(
  imports: readonly JudgedImport[],
  refusals: readonly GrantRefusal[],
  asked: readonly CapabilityName[],
): readonly ValidationProblem[] {
  const refusedImports = imports.filter(({ verdict }) => verdict.problem?.reason === 'CAPABILITY_NOT_GRANTED');
  const reported = new Set(refusedImports.map(({ verdict }) => verdict.capability));
  return refusals
    .filter(({ capability }) => !reported.has(capability))
    .map((refusal) => {
      const location = `capabilities[${asked.indexOf(refusal.capability)}]`;
      return problem('CAPABILITY_NOT_GRANTED', location, refusalText(refusal));
    });
}

const commandFunction = '_start';
/** Exports that the host calls by itself at the start. */
const lifecycleExports: readonly string[] = ['_initialize', commandFunction, 'hs_init'];

/** Whether a module is a program of WASI: its "_start" is what it is for, not what comes before. */
function isCommand({ imports, exports }: Pick<ModuleInfo, 'imports' | 'exports'>): boolean {
  const lifecycle = exports.filter(({ name }) => lifecycleExports.includes(name));
  return (
    lifecycle.every((entry) => entry.name === commandFunction && isExecutableType(entry)) &&
    lifecycle.length > 0 &&
    imports.some(({ module }) => module === wasiModule)
  );
}

function isExecutableInCommand(entry: ExportInfo): boolean {
  return entry.name === commandFunction || hasExecutableForm(entry);
}

function hasExecutableForm(entry: ExportInfo): boolean {
  return (
    isExecutableType(entry) &&
    !lifecycleExports.includes(entry.name) &&
    !entry.name.startsWith(reservedPrefix) &&
    isPlainName(entry.name)
  );
}

function isExecutableType({ type }: ExportInfo): boolean {
  if (type.kind !== 'function' || type.parameters.length > 0 || type.results.length > 1) return false;
  return type.results.every((result) => result === 'i32');
}

function isPlainName(name: string): boolean {
  return name !== '' && Buffer.byteLength(name) <= functionNameBytesMax && !hasControlCharacter(name);
}

interface FunctionFacts {
  readonly info: ModuleInfo;
  /** The manifest's list, if it has one. */
  readonly listed: readonly string[] | undefined;
  /** Exports that have the form of an executable function. */
  readonly candidates: ReadonlySet<string>;
  /** Those of them that the manifest offers. */
  readonly functions: ReadonlySet<string>;
}

function functionProblems(facts: FunctionFacts): readonly ValidationProblem[] {
  const { listed, functions } = facts;
  const unfit = (listed ?? []).flatMap((name, index) => listedProblem(facts, name, index));
  if (unfit.length > 0) return unfit;
  if (functions.size === 0) return [problem('FUNCTION_NOT_EXECUTABLE', 'module', noFunctionText)];
  if (functions.size <= functionsMax) return [];
  const message = `The module has ${functions.size} functions that can be executed; at most ${functionsMax} are allowed: list those to offer in the manifest`;
  return [problem('WASM_OVER_LIMIT', 'functions', message)];
}

const formText = 'takes no parameters and returns nothing or an i32';
const noFunctionText = `The module exports no function that can be executed, which is one that ${formText}, or "${commandFunction}" of a program for WASI preview 1`;

function listedProblem(facts: FunctionFacts, name: string, index: number): readonly ValidationProblem[] {
  if (facts.candidates.has(name)) return [];
  const location = `functions[${index}]`;
  const exported = facts.info.exports.find((entry) => entry.name === name);
  if (exported)
    return [
      problem('FUNCTION_NOT_EXECUTABLE', location, `The export "${shownName(name)}" ${whyNotExecutable(exported)}`),
    ];
  const near = suggestion(shownName(name), [...facts.candidates].map(shownName));
  return [problem('MANIFEST_INVALID', location, `The module exports no function "${shownName(name)}"${near}`)];
}

function whyNotExecutable(entry: ExportInfo): string {
  if (entry.kind !== 'function') return `is a ${entry.kind}, not a function`;
  if (!isExecutableType(entry)) return `is ${shownType(entry.type)}; a function that can be executed ${formText}`;
  if (lifecycleExports.includes(entry.name)) return 'is called by the host before each function and is none to execute';
  return 'cannot be executed: the name is reserved or holds control characters';
}

function reportImport({ info, verdict }: JudgedImport): ReportedImport {
  return {
    module: shownName(info.module),
    name: shownName(info.name),
    kind: info.kind,
    type: shownType(info.type),
    capability: verdict.capability,
    provided: verdict.provided,
  };
}

function reportExport(entry: ExportInfo, functions: ReadonlySet<string>): ReportedExport {
  const executable = entry.kind === 'function' && functions.has(entry.name);
  return { name: shownName(entry.name), kind: entry.kind, type: shownType(entry.type), executable };
}

function reportMemories({ info, clamped }: ModuleAnalysis): readonly ReportedMemory[] {
  return (info?.memories ?? []).slice(0, reportBounds.memories).map((memory, index) => ({
    minPages: memory.minPages,
    maxPages: memory.maxPages,
    clampedPages: clamped?.memories[index]?.clampedPages,
    is64: memory.is64,
    shared: memory.shared,
    imported: memory.imported,
  }));
}

function reportTables({ info, clamped }: ModuleAnalysis): readonly ReportedTable[] {
  return (info?.tables ?? []).slice(0, reportBounds.tables).map((table, index) => ({
    minElements: table.min,
    maxElements: table.max,
    clampedElements: clamped?.tables[index]?.clampedElements,
    elementType: table.elementType,
    imported: table.imported,
  }));
}

function reportSizes({ analysis, sizeBytes }: ValidationSubject): ReportedSizes {
  const sizes = analysis.info?.sizes;
  return {
    moduleBytes: sizeBytes,
    codeBytes: sizes?.codeBytes ?? 0,
    dataBytes: sizes?.dataBytes ?? 0,
    customBytes: sizes?.customBytes ?? 0,
    functions: sizes?.functions ?? 0,
    globals: sizes?.globals ?? 0,
    elementSegments: sizes?.elementSegments ?? 0,
    dataSegments: sizes?.dataSegments ?? 0,
    rewrittenBytes: analysis.rewrittenBytes,
  };
}
