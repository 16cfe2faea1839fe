/** `npm run bench -- [CASE…] [--quick]`: runs the named cases, or all, and writes the report. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { findingsAll } from './acceptance.ts';
import { cases, slowCases } from './cases.ts';
import { type BenchContext, fullPace, quickPace } from './context.ts';
import { messageOf } from './contenders.ts';
import { environmentAtEnd, environmentAtStart } from './environment.ts';
import { Fleet } from './fleet.ts';
import { buildGuests } from './guests.ts';
import { h2loadVersion } from './h2load.ts';
import { LoadProcess } from './load-process.ts';
import { type CaseReport, markdown, missingRow, type Report, reportOf, writeReport } from './report.ts';

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({ options: { quick: { type: 'boolean' } }, allowPositionals: true });
  const unknown = positionals.filter((name) => !(name in cases));
  if (unknown.length > 0) {
    process.stderr.write(`No such case: ${unknown.join(', ')}. There are: ${Object.keys(cases).join(', ')}\n`);
    return 2;
  }
  const quick = values.quick ?? false;
  const leftOut = quick && positionals.length === 0 ? slowCases : [];
  const names = positionals.length > 0 ? positionals : Object.keys(cases).filter((name) => !leftOut.includes(name));
  const reports = await runCases(names, quick, leftOut.map(leftOutReport));
  return reports.some(({ failed }) => failed === true) ? 1 : 0;
}

function leftOutReport(name: string): CaseReport {
  return emptyReport(name, `left out of the quick run of everything: npm run bench -- ${name} --quick`);
}

/** The report of a case that gave nothing. */
function emptyReport(name: string, why: string): CaseReport {
  return { name, rows: [missingRow(name, 'all', why)], reading: [], findings: findingsAll(name, why) };
}

/** Runs the cases, and writes a report of them and of those that were left out. */
async function runCases(
  names: readonly string[],
  quick: boolean,
  leftOut: readonly CaseReport[],
): Promise<readonly CaseReport[]> {
  const start = await environmentAtStart(quick);
  const mind = start['to be kept in mind'];
  if (mind !== undefined) process.stderr.write(`${mind}\n`);
  const directory = mkdtempSync(join(tmpdir(), 'caisson-bench-'));
  try {
    const write = (reports: readonly CaseReport[]): Report => {
      const report = reportOf(environmentAtEnd(start), [...reports, ...leftOut]);
      writeReport(report, import.meta.dirname);
      return report;
    };
    const reports = await reportsOf({ names, quick, directory, write });
    process.stdout.write(`${markdown(write(reports))}\n`);
    return reports;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

interface Run {
  readonly names: readonly string[];
  readonly quick: boolean;
  readonly directory: string;
  /** Writes what there is so far, so that a run that ends halfway was not for nothing. */
  readonly write: (reports: readonly CaseReport[]) => unknown;
}

async function reportsOf({ names, quick, directory, write }: Run): Promise<readonly CaseReport[]> {
  const guests = await buildGuests(directory, quick);
  const h2load = await h2loadVersion();
  await using fleet = new Fleet({ guests, directory, buildsPeers: !quick });
  await using load = new LoadProcess();
  const pace = quick ? quickPace : fullPace;
  const reports: CaseReport[] = [];
  for (const [index, name] of names.entries()) {
    const rest = names.slice(index).map((one) => emptyReport(one, 'the run ended before this case had'));
    write([...reports, ...rest]);
    reports.push(await runCase(name, { quick, ...pace, fleet, load, directory, h2load }));
  }
  return reports;
}

/** A case that fails says so in the report and does not take the others with it. */
async function runCase(name: string, context: BenchContext): Promise<CaseReport> {
  process.stderr.write(`measuring ${name} …\n`);
  const begin = performance.now();
  const seconds = (): number => (performance.now() - begin) / 1_000;
  try {
    const report = await cases[name]?.(context);
    if (report === undefined) throw new Error('There is no such case');
    return { ...report, seconds: seconds() };
  } catch (error) {
    const why = `the case failed: ${messageOf(error)}`;
    return { ...emptyReport(name, why), seconds: seconds(), failed: true };
  }
}

process.exitCode = await main();
