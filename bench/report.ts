/** The report of a benchmark run: one JSON file for programs, one Markdown page for people. */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Findings, type Verdict, verdictsOf } from './acceptance.ts';
import type { Environment } from './environment.ts';

export interface Row {
  readonly case: string;
  readonly contender: string;
  /** The measured figure with its unit, such as "41 µs" or "12,000/s". */
  readonly figure: string;
  readonly spread: string;
  /** Against the baseline of the same case; greater is better. NaN where there is nothing to compare. */
  readonly ratio: number;
  readonly note?: string;
  /** What was measured, round by round. */
  readonly samples?: readonly number[];
}

export interface CaseReport {
  readonly name: string;
  readonly rows: readonly Row[];
  /** What the rows say, in plain words. */
  readonly reading: readonly string[];
  /** What the case found of what is aimed at. */
  readonly findings?: Findings;
  readonly seconds?: number;
  /** True if the case itself went wrong, and not what it measured. */
  readonly failed?: boolean;
}

export interface Report {
  readonly environment: Environment;
  readonly acceptance: readonly Verdict[];
  readonly cases: readonly CaseReport[];
}

export function reportOf(environment: Environment, cases: readonly CaseReport[]): Report {
  const findings: Findings = Object.assign({}, ...cases.map((report) => report.findings ?? {}));
  return { environment, acceptance: verdictsOf(findings), cases };
}

/** The row of something that could not be measured. */
export function missingRow(name: string, contender: string, why: string): Row {
  return { case: name, contender, figure: 'not measured', spread: '–', ratio: Number.NaN, note: oneLine(why) };
}

export function markdown({ environment, acceptance, cases }: Report): string {
  return [
    '# Benchmark report',
    '',
    ...Object.entries(environment).map(([key, value]) => `- ${key}: ${value}`),
    '',
    '## What was aimed at',
    '',
    ...summaryOf(acceptance),
    '',
    '| what | wanted | found | verdict |',
    '|---|---|---|---|',
    ...acceptance.map(({ what, wanted, found, verdict }) => tableLine([what, wanted, found, verdict])),
    '',
    ...cases.flatMap(caseLines),
  ].join('\n');
}

/** What was met, missed and not measured, in words. */
function summaryOf(verdicts: readonly Verdict[]): readonly string[] {
  const missed = verdicts.filter(({ isMet }) => isMet === false);
  const met = verdicts.filter(({ isMet }) => isMet === true);
  const unknown = verdicts.filter(({ verdict }) => verdict.startsWith('not measured'));
  const aimedAt = met.length + missed.length + unknown.length;
  const counts = `Of ${aimedAt} figures aimed at ${met.length} are met, ${missed.length} missed, ${unknown.length} not measured.`;
  const told = [...missed, ...met].map(({ what, found, verdict }) => `- ${what}: ${found}, ${verdict}`);
  return told.length === 0 ? [counts] : [counts, '', ...told];
}

function caseLines({ name, rows, reading, seconds }: CaseReport): readonly string[] {
  const took = seconds === undefined ? '' : ` (${Math.round(seconds)} s)`;
  return [
    `## ${name}${took}`,
    '',
    '| case | contender | median | spread | ratio | |',
    '|---|---|---|---|---|---|',
    ...rows.map((row) =>
      tableLine([row.case, row.contender, row.figure, row.spread, ratioText(row.ratio), row.note ?? '']),
    ),
    '',
    ...reading.map((line) => `- ${line}`),
    '',
  ];
}

function ratioText(ratio: number): string {
  if (!Number.isFinite(ratio)) return '–';
  return ratio < 0.1 ? ratio.toFixed(3) : ratio.toFixed(2);
}

function tableLine(cells: readonly string[]): string {
  return `| ${cells.map((cell) => oneLine(cell).replaceAll('|', '\\|')).join(' | ')} |`;
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, ' ').trim();
}

export function writeReport(report: Report, directory: string): void {
  writeFileSync(join(directory, 'report.json'), `${JSON.stringify(report, null, 2)}\n`);
  writeFileSync(join(directory, 'report.md'), `${markdown(report)}\n`);
}
