/** Rows of a report from what was measured. */

import type { Measured, Throughput } from './compare.ts';
import type { CallsResult } from './load/jobs.ts';
import { type Better, median, ratioOf, type Samples } from './measure.ts';
import { sumOf } from './process.ts';
import { missingRow, type Row } from './report.ts';

/** One contender's figures, round by round. */
export interface Figures {
  readonly contender: string;
  readonly samples: Samples;
  readonly note?: string;
}

export interface RowForm {
  readonly case: string;
  /** The contender that the others are held against. */
  readonly against: string;
  readonly better: Better;
  readonly text: (value: number) => string;
}

/** A row for each contender, its ratio being against the baseline of the same rounds. */
export function rowsOf(form: RowForm, figures: readonly Figures[]): readonly Row[] {
  const baseline = figures.find(({ contender }) => contender === form.against)?.samples ?? [];
  return figures.map(({ contender, samples, note }) => ({
    case: form.case,
    contender,
    figure: form.text(median(samples)),
    spread: `${form.text(Math.min(...samples))} to ${form.text(Math.max(...samples))}`,
    ratio: ratioOf(samples, baseline, form.better),
    ...(note !== undefined && { note }),
    samples,
  }));
}

export function throughputRows(
  name: string,
  against: string,
  measured: readonly Measured<Throughput>[],
): readonly Row[] {
  const form: RowForm = { case: name, against, better: 'more', text: rateText };
  return measuredRows(form, measured, (samples) => ({
    samples: samples.map(({ callsPerSecond }) => callsPerSecond),
    note: `server CPU ${usText(median(samples.map(({ cpuUs }) => sumOf(cpuUs.values()))))} a call`,
  }));
}

export function latencyRows(name: string, against: string, measured: readonly Measured<CallsResult>[]): readonly Row[] {
  const form: RowForm = { case: name, against, better: 'less', text: usText };
  return measuredRows(form, measured, (samples) => ({
    samples: samples.map(({ latencyUs }) => latencyUs.p50),
    note: `p99 ${usText(median(samples.map(({ latencyUs }) => latencyUs.p99)))}`,
  }));
}

function measuredRows<Sample>(
  form: RowForm,
  measured: readonly Measured<Sample>[],
  figuresOf: (samples: readonly Sample[]) => Omit<Figures, 'contender'>,
): readonly Row[] {
  const figures = measured.flatMap((one) =>
    'samples' in one ? [{ contender: one.target.title, ...figuresOf(one.samples) }] : [],
  );
  const failed = measured.flatMap((one) =>
    'failure' in one ? [missingRow(form.case, one.target.title, one.failure)] : [],
  );
  return [...rowsOf(form, figures), ...failed];
}

/** The row of a case and a contender; undefined if it was not measured. */
export function findRow(rows: readonly Row[], name: string, contender: string): Row | undefined {
  return rows.find((row) => row.case === name && row.contender === contender && row.samples !== undefined);
}

export function rateText(perSecond: number): string {
  return `${Math.round(perSecond).toLocaleString('en')}/s`;
}

export function usText(us: number): string {
  if (us < 10_000) return `${Math.round(us)} µs`;
  return us < 1e6 ? `${(us / 1_000).toFixed(1)} ms` : `${(us / 1e6).toFixed(2)} s`;
}

export function bytesText(bytes: number): string {
  if (Math.abs(bytes) < 1_024) return `${Math.round(bytes)} B`;
  const kibi = bytes / 1_024;
  return Math.abs(kibi) < 1_024 ? `${kibi.toFixed(1)} KiB` : `${(kibi / 1_024).toFixed(1)} MiB`;
}
