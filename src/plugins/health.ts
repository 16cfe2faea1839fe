/**
 * How running versions fare: a window over the outcomes of each one's last runs,
 * and the result of its last health check. Pure bookkeeping: it neither runs
 * anything nor tells anybody, and what it says changes no version's state.
 */

import { boundedText, singleLine } from '../base/text.ts';
import { type HealthState, type PluginHealth, type PluginVersion, referenceOf } from '../model/plugin.ts';

/** What a run says about the health of its version. */
export interface RunFacts {
  readonly trapped: boolean;
  /** Whether its memory came near the limit. */
  readonly nearMemoryLimit: boolean;
}

/** Runs that are looked back on. */
export const windowRuns = 20;
const trapsDegraded = 5;
const trapsFailed = 10;
const nearMemoryLimitDegraded = 3;
/** A better state is believed only when the worse one is this old, so that one at a threshold does not come and go with every run. */
const recoveryMsMin = 10_000;
const reasonBytesMax = 256;

const windowMask = 2 ** windowRuns - 1;
const gravity: Readonly<Record<HealthState, number>> = { HEALTHY: 0, DEGRADED: 1, FAILED: 2 };

interface VersionRecord {
  /** Runs in the window. */
  runs: number;
  /** One bit for each run in the window, the newest being the lowest. */
  traps: number;
  nearMemoryLimit: number;
  /** What the last check failed with; undefined if it did not, or there was none. */
  checkFailure: string | undefined;
  checkedMs: number | undefined;
  state: HealthState;
  reasons: readonly string[];
  changedMs: number;
}

/** Holds a record of each version that runs: it is begun and forgotten as the version comes and goes. */
export class HealthBook {
  /** As many as there are running versions. */
  readonly #records = new Map<string, VersionRecord>();

  /** The version runs from now on; nothing speaks against it. */
  begin(version: PluginVersion, nowMs: number): void {
    this.#records.set(keyOf(version), {
      runs: 0,
      traps: 0,
      nearMemoryLimit: 0,
      checkFailure: undefined,
      checkedMs: undefined,
      state: 'HEALTHY',
      reasons: [],
      changedMs: nowMs,
    });
  }

  /** The version does not run any more. */
  forget(version: PluginVersion): void {
    this.#records.delete(keyOf(version));
  }

  /** Notes how a run ended; answers whether the version's state of health changed. */
  noteRun(version: PluginVersion, facts: RunFacts, nowMs: number): boolean {
    const record = this.#records.get(keyOf(version));
    if (!record) return false;
    record.runs = Math.min(record.runs + 1, windowRuns);
    record.traps = shifted(record.traps, facts.trapped);
    record.nearMemoryLimit = shifted(record.nearMemoryLimit, facts.nearMemoryLimit);
    return settle(record, nowMs);
  }

  /** Notes what a health check failed with, undefined if it did not; answers as noteRun. */
  noteCheck(version: PluginVersion, failure: string | undefined, nowMs: number): boolean {
    const record = this.#records.get(keyOf(version));
    if (!record) return false;
    record.checkFailure = failure === undefined ? undefined : boundedText(singleLine(failure), reasonBytesMax);
    record.checkedMs = nowMs;
    return settle(record, nowMs);
  }

  /** Undefined if the version does not run. */
  of(version: PluginVersion): PluginHealth | undefined {
    const record = this.#records.get(keyOf(version));
    if (!record) return undefined;
    const { state, reasons, changedMs, checkedMs } = record;
    return { state, reasons, changedMs, ...(checkedMs !== undefined && { checkedMs }) };
  }
}

/** A number that is published again after a deletion is another version. */
function keyOf(version: PluginVersion): string {
  return `${referenceOf(version)} ${version.digest}`;
}

interface Finding {
  readonly state: HealthState;
  readonly reason: string;
}

/** Takes over what the record's facts say now; answers whether the state changed. */
function settle(record: VersionRecord, nowMs: number): boolean {
  const findings = findingsOf(record);
  const state = findings.reduce<HealthState>((worst, one) => worse(worst, one.state), 'HEALTHY');
  const isBetter = gravity[state] < gravity[record.state];
  if (isBetter && nowMs - record.changedMs < recoveryMsMin) return false;
  record.reasons = findings.map(({ reason }) => reason);
  if (state === record.state) return false;
  record.state = state;
  record.changedMs = nowMs;
  return true;
}

function findingsOf(record: VersionRecord): readonly Finding[] {
  const findings: Finding[] = [];
  const traps = bitsSet(record.traps);
  const near = bitsSet(record.nearMemoryLimit);
  if (record.checkFailure !== undefined) findings.push({ state: 'FAILED', reason: record.checkFailure });
  if (traps >= trapsDegraded) {
    const reason = `${traps} of the last ${record.runs} runs trapped`;
    findings.push({ state: traps >= trapsFailed ? 'FAILED' : 'DEGRADED', reason });
  }
  if (near >= nearMemoryLimitDegraded) {
    findings.push({
      state: 'DEGRADED',
      reason: `${near} of the last ${record.runs} runs came near their memory limit`,
    });
  }
  return findings;
}

function worse(one: HealthState, other: HealthState): HealthState {
  return gravity[other] > gravity[one] ? other : one;
}

function shifted(window: number, bit: boolean): number {
  return ((window << 1) | Number(bit)) & windowMask;
}

function bitsSet(window: number): number {
  let count = 0;
  for (let rest = window; rest !== 0; rest &= rest - 1) count++;
  return count;
}
