/** `npm run bench -- [CASE…] [--quick]`: runs the named cases, or all, and writes the report. */

import { execute } from './cases/execute.ts';
import { io } from './cases/io.ts';
import { metering } from './cases/metering.ts';
import { type CaseReport, markdown, writeReports } from './report.ts';

const cases: Readonly<Record<string, (options: { quick: boolean }) => Promise<CaseReport>>> = { metering, io, execute };

const words = process.argv.slice(2);
const quick = words.includes('--quick');
const names = words.filter((word) => !word.startsWith('--'));
const unknown = names.filter((name) => !(name in cases));

if (unknown.length > 0) {
  process.stderr.write(`No such case: ${unknown.join(', ')}. There are: ${Object.keys(cases).join(', ')}\n`);
  process.exitCode = 2;
} else {
  const reports: CaseReport[] = [];
  for (const name of names.length > 0 ? names : Object.keys(cases)) {
    process.stderr.write(`measuring ${name} …\n`);
    const report = await cases[name]?.({ quick });
    if (report) reports.push(report);
  }
  writeReports(reports, import.meta.dirname);
  process.stdout.write(`${markdown(reports)}\n`);
}
