import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { ExecutionRecord } from '../../src/execution/execution-record.ts';
import { ExecutionStore } from '../../src/execution/execution-store.ts';
import { ExecError } from '../../src/model/exec-error.ts';
import { ManualClock } from '../unit/base/manual-clock.ts';
import { facts, ok } from '../unit/execution/fakes.ts';

const bounds = {
  liveMax: 5,
  liveInputBytesMax: 1_000,
  tenantShareMax: 1,
  endedMax: 6,
  endedMsMax: 50,
  endedBytesMax: 20_000,
};

const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('create' as const), inputBytes: fc.nat(600) }) },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('end' as const), which: fc.nat(9), outputBytes: fc.nat(9_000) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('refuse' as const), which: fc.nat(9) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.nat(30) }) },
);

interface Ended {
  readonly id: string;
  readonly endedMs: number;
  readonly bytes: number;
}

/** What should be remembered of these: the newest, within all bounds. */
function remembered(ended: readonly Ended[], nowMs: number): readonly string[] {
  const kept: string[] = [];
  let bytes = 0;
  for (const one of ended.toReversed()) {
    bytes += one.bytes;
    const tooMany = kept.length >= bounds.endedMax || bytes > bounds.endedBytesMax;
    if (tooMany || one.endedMs < nowMs - bounds.endedMsMax) break;
    kept.push(one.id);
  }
  return kept;
}

/** All ids, read in pages. */
function pages(store: ExecutionStore, limit: number): readonly string[] {
  const ids: string[] = [];
  for (let after: string | undefined, first = true; first || after !== undefined; first = false) {
    const page = store.list({ tenant: 'default', limit, ...(after !== undefined && { after }) });
    ids.push(...page.records.map((record) => record.facts.id));
    after = page.next;
  }
  return ids;
}

describe('ExecutionStore', () => {
  test('remembers the live and the newest ended ones within its bounds, and pages through them', async () => {
    const trials = fc.asyncProperty(
      fc.array(step, { maxLength: 80 }),
      fc.integer({ min: 1, max: 4 }),
      async (steps, limit) => {
        const clock = new ManualClock();
        const store = new ExecutionStore({ clock, bounds });
        const live: ExecutionRecord[] = [];
        const ended: Ended[] = [];
        for (const [at, step] of steps.entries()) {
          if (step.do === 'wait') await clock.advance(step.ms);
          if (step.do === 'create') {
            const held = live.reduce((bytes, record) => bytes + record.facts.inputBytes, 0);
            const full =
              live.length >= bounds.liveMax || (live.length > 0 && held + step.inputBytes > bounds.liveInputBytesMax);
            const create = () => store.create(facts({ id: String(at).padStart(3, '0'), inputBytes: step.inputBytes }));
            if (full) expect(create).toThrow('Too many');
            else live.push(create());
          }
          if (step.do === 'end' || step.do === 'refuse') {
            const [record] = live.splice(step.which, 1);
            if (!record) continue;
            if (step.do === 'refuse') store.refuse(record, new ExecError('QUEUE_FULL', 'full'));
            else {
              store.end(record, ok('x'.repeat(step.outputBytes)));
              ended.push({ id: record.facts.id, endedMs: clock.now(), bytes: record.bytes() });
            }
          }
          const ids = [...live.map((record) => record.facts.id), ...remembered(ended, clock.now())];
          expect(pages(store, limit)).toEqual(ids.toSorted().toReversed());
        }
      },
    );
    await fc.assert(trials, { numRuns: 200 });
  });
});
