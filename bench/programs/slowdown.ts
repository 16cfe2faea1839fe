/**
 * How much longer a subject takes in each form, in the steady state: all forms do
 * the same work in turn, round after round, so that what disturbs the machine
 * disturbs all alike. What counts is the time that processors gave to this process,
 * and only ratios mean anything.
 */

import { median } from '../measure.ts';
import type { Row } from '../report.ts';
import { type Form, forms, startForm } from './forms.ts';
import type { Subject } from './subject.ts';

export interface Slowdown {
  readonly rows: readonly Row[];
  /** Time of each form against that of the raw one: the median over rounds. */
  readonly ratios: Readonly<Record<Form, number>>;
}

/** A round takes about so long. */
const roundMs = 60;
/** For so long everything is run before it is measured: until then functions are compiled when they are first called. */
const warmUpMs = 150;

type Run = (turns: number) => number;

export function compareForms(subject: Subject, rounds: number): Slowdown {
  const runs = forms.map((form) => startForm(form, subject));
  for (const run of runs) warmUp(run);
  const turns = turnsFor(runs[0] as Run);
  const expected = (runs[0] as Run)(turns);
  const times = runs.map((): number[] => []);
  for (let round = 0; round < rounds; round++) {
    // Each round begins with another form, so that none has the best place always.
    for (const place of forms.keys()) {
      const form = (round + place) % forms.length;
      const { ms, result } = timed(() => (runs[form] as Run)(turns));
      if (result !== expected) throw new Error(`"${subject.name}" gives another result when ${forms[form]}`);
      times[form]?.push(ms);
    }
  }
  const baseline = times[0] ?? [];
  const slowdowns = times.map((mine) => median(mine.map((ms, round) => ms / (baseline[round] ?? Number.NaN))));
  const ratios = Object.fromEntries(forms.map((form, place) => [form, slowdowns[place]])) as Record<Form, number>;
  return { ratios, rows: forms.map((form, place) => rowOf(subject.name, form, times[place] ?? [], ratios[form])) };
}

function rowOf(name: string, form: Form, times: readonly number[], slowdown: number): Row {
  return {
    case: name,
    contender: form,
    figure: `${median(times).toFixed(1)} ms`,
    spread: `${Math.min(...times).toFixed(1)} to ${Math.max(...times).toFixed(1)} ms`,
    ratio: 1 / slowdown,
    note: form === 'raw' ? '' : `${slowdown.toFixed(2)} times the time`,
  };
}

/** What some work gives, and the milliseconds of processors that it took this process. */
export function timed(work: () => number): { readonly ms: number; readonly result: number } {
  const before = process.cpuUsage();
  const result = work();
  const after = process.cpuUsage();
  return { ms: (after.user + after.system - before.user - before.system) / 1_000, result };
}

function warmUp(run: Run): void {
  const end = performance.now() + warmUpMs;
  for (let turns = 1; performance.now() < end; turns *= 2) run(turns);
}

/** Turns that take a round. A disturbance makes a run longer, never shorter: of three the shortest tells the truth. */
function turnsFor(run: Run): number {
  for (let turns = 1; ; ) {
    const ms = Math.min(...[0, 1, 2].map(() => timed(() => run(turns)).ms));
    const wanted = Math.max(1, Math.round((turns * roundMs) / Math.max(ms, 0.01)));
    if (ms > roundMs / 2) return wanted;
    turns = Math.min(wanted, turns * 16);
  }
}
