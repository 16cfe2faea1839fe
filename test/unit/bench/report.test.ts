import { describe, expect, test } from 'vitest';
import { markdown, missingRow, reportOf, type Row } from '../../../bench/report.ts';
import { bytesText, findRow, rowsOf, usText } from '../../../bench/rows.ts';

const form = { case: 'sums', against: 'theirs', better: 'more', text: (value: number) => `${value}/s` } as const;
const rows = rowsOf(form, [
  { contender: 'theirs', samples: [100, 110, 90] },
  { contender: 'ours', samples: [50, 55, 90], note: 'slow | steady' },
]);

describe('Rows', () => {
  test('have the median, the spread, and the ratio against the baseline of the same rounds', () => {
    expect(rows[1]).toMatchObject({ figure: '55/s', spread: '50/s to 90/s', ratio: 0.5 });
    expect(rows[0]?.ratio).toBe(1);
  });

  test('are found by case and contender, but not if nothing was measured', () => {
    expect(findRow(rows, 'sums', 'ours')).toBe(rows[1]);
    expect(findRow([missingRow('sums', 'ours', 'gone')], 'sums', 'ours')).toBeUndefined();
  });

  test('without a baseline have no ratio', () => {
    expect(rowsOf({ ...form, against: 'nobody' }, [{ contender: 'ours', samples: [1] }])[0]?.ratio).toBeNaN();
  });
});

describe('The Markdown report', () => {
  const text = (list: readonly Row[]): string =>
    markdown(
      reportOf({ machine: 'a test' }, [
        { name: 'sums', rows: list, reading: ['ours is half'], findings: { many: 3, create: 0.5 } },
      ]),
    );

  test('counts what is met, missed and not measured, and tells misses first', () => {
    const lines = text(rows).split('\n');
    const summary = lines.findIndex((line) => line.startsWith('Of '));
    expect(lines[summary]).toMatch(/1 are met, 1 missed, \d+ not measured\.$/);
    expect(lines[summary + 2]).toMatch(/createPlugin per call.*missed by 0\.50 × \(50 %\)$/);
    expect(lines[summary + 3]).toMatch(/ExecuteMany.*met$/);
  });

  test('has environment, rows and reading, and keeps a text with a bar in its cell', () => {
    expect(text(rows)).toContain('- machine: a test');
    expect(text(rows)).toContain('| sums | ours | 55/s | 50/s to 90/s | 0.50 | slow \\| steady |');
    expect(text(rows)).toContain('- ours is half');
  });

  test('shows what could not be measured as a row with its reason, on one line', () => {
    expect(text([missingRow('sums', 'ours', 'it\nended')])).toContain(
      '| sums | ours | not measured | – | – | it ended |',
    );
  });
});

test('Figures have the unit that suits their size', () => {
  expect([usText(9_999), usText(10_000), usText(1e6)]).toEqual(['9999 µs', '10.0 ms', '1.00 s']);
  expect([bytesText(1_023), bytesText(1_024), bytesText(1_048_576)]).toEqual(['1023 B', '1.0 KiB', '1.0 MiB']);
});
