/** The report of a benchmark run: one JSON file for programs, one Markdown table for people. */

import { writeFileSync } from 'node:fs';
import { arch, cpus, release, totalmem, type } from 'node:os';
import { join } from 'node:path';

export interface Row {
  readonly case: string;
  readonly contender: string;
  /** The measured figure with its unit, such as "41 µs" or "12,000/s". */
  readonly figure: string;
  readonly spread: string;
  /** Against the baseline of the same case; greater is better. */
  readonly ratio: number;
  readonly note?: string;
}

export interface CaseReport {
  readonly name: string;
  readonly rows: readonly Row[];
  /** What the rows say, in plain words. */
  readonly reading: readonly string[];
}

function machine(): Record<string, string> {
  return {
    node: process.versions.node,
    v8: process.versions.v8,
    system: `${type()} ${release()} ${arch()}`,
    processors: `${cpus().length} x ${cpus()[0]?.model ?? 'unknown'}`,
    memory: `${Math.round(totalmem() / 2 ** 30)} GiB`,
  };
}

export function markdown(reports: readonly CaseReport[]): string {
  const lines = [
    '# Benchmark report',
    '',
    ...Object.entries(machine()).map(([key, value]) => `- ${key}: ${value}`),
    '',
  ];
  for (const report of reports) {
    lines.push(
      `## ${report.name}`,
      '',
      '| case | contender | median | spread | ratio | |',
      '|---|---|---|---|---|---|',
    );
    for (const row of report.rows) {
      lines.push(
        `| ${row.case} | ${row.contender} | ${row.figure} | ${row.spread} | ${row.ratio.toFixed(2)} | ${row.note ?? ''} |`,
      );
    }
    lines.push('', ...report.reading.map((line) => `- ${line}`), '');
  }
  return lines.join('\n');
}

export function writeReports(reports: readonly CaseReport[], directory: string): void {
  writeFileSync(join(directory, 'report.json'), `${JSON.stringify({ machine: machine(), reports }, null, 2)}\n`);
  writeFileSync(join(directory, 'report.md'), `${markdown(reports)}\n`);
}
