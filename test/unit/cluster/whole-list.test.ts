import { create } from '@bufbuild/protobuf';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { mergedPage } from '../../../src/cluster/whole-list.ts';
import { ExecutionSchema } from '../../../src/gen/caisson/v1/execution_pb.ts';

const idOf = (number: number): string => String(number).padStart(6, '0');

/** A process's page of those executions that come after a cursor, as a process answers it. */
function pageOf(ids: readonly string[], limit: number, after: string | undefined) {
  const left = ids
    .filter((id) => after === undefined || id < after)
    .toSorted()
    .toReversed();
  const executions = left.slice(0, limit).map((id) => create(ExecutionSchema, { id }));
  return { executions, nextPageToken: left.length > limit ? 'more' : '' };
}

describe('Pages of several processes', () => {
  test('make whole pages: every execution once, newest first', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.nat(999), { maxLength: 60 }),
        fc.integer({ min: 1, max: 4 }),
        fc.integer({ min: 1, max: 20 }),
        (numbers, processes, limit) => {
          const ids = numbers.map(idOf);
          const homes = Array.from({ length: processes }, (_, at) =>
            ids.filter((_id, index) => index % processes === at),
          );
          const seen: string[] = [];
          let after: string | undefined;
          do {
            const page = mergedPage(
              homes.map((home) => pageOf(home, limit, after)),
              limit,
            );
            expect(page.executions.length).toBeLessThanOrEqual(limit);
            seen.push(...page.executions.map(({ id }) => id));
            after = page.next;
          } while (after !== undefined);
          expect(seen).toEqual(ids.toSorted().toReversed());
        },
      ),
    );
  });

  test('go no further than the shortest page that has another after it', () => {
    const short = { executions: [create(ExecutionSchema, { id: idOf(5) })], nextPageToken: 'more' };
    const page = mergedPage([short, pageOf([idOf(9), idOf(4)], 10, undefined)], 10);
    expect(page.executions.map(({ id }) => id)).toEqual([idOf(9), idOf(5)]);
    expect(page.next).toBe(idOf(5));
  });

  test('are cut where the bytes of a page end', () => {
    const labels = { text: 'x'.repeat(1_000_000) };
    const large = {
      executions: [3, 2, 1].map((n) => create(ExecutionSchema, { id: idOf(n), labels })),
      nextPageToken: '',
    };
    const page = mergedPage([large, { ...large, executions: [create(ExecutionSchema, { id: idOf(0), labels })] }], 10);
    expect(page.executions).toHaveLength(3);
    expect(page.next).toBe(idOf(1));
  });

  test('are one empty page if there is nothing', () => {
    expect(mergedPage([pageOf([], 5, undefined)], 5)).toEqual({ executions: [], next: undefined });
  });
});
