import { describe, expect, test } from 'vitest';
import { ExecError } from '../../../src/model/exec-error.ts';
import { limitViolations, type RunLimitName, resolveLimits, runLimitRanges } from '../../../src/model/limits.ts';

const mebi = 1_048_576;
const names = Object.keys(runLimitRanges) as RunLimitName[];
/** Whole pages where that is asked for, within the range. */
const some = (name: RunLimitName, count: number): number => (name === 'cpuPercent' ? count : count * 65_536);

describe('resolveLimits', () => {
  test('has the documented defaults', () => {
    expect(resolveLimits({}, {})).toEqual({
      timeoutMs: 30_000,
      fuel: 1_000_000_000_000,
      cpuPercent: 100,
      memoryBytes: 64 * mebi,
      inputBytes: 4 * mebi,
      outputBytes: 4 * mebi,
      logBytes: 65_536,
      varBytes: mebi,
      hostCalls: 10_000_000,
    });
  });

  test.each(names)('takes %s from the request before the manifest before the default', (name) => {
    const [request, manifest] = [some(name, 2), some(name, 3)];
    expect(resolveLimits({ [name]: request }, { [name]: manifest })[name]).toBe(request);
    expect(resolveLimits({}, { [name]: manifest })[name]).toBe(manifest);
    expect(resolveLimits({ [name]: 0 }, { [name]: manifest })[name]).toBe(manifest);
    expect(resolveLimits({ [name]: 0 }, { [name]: 0 })[name]).toBe(runLimitRanges[name].default);
  });

  test.each(names)('takes %s up to its maximum and not beyond', (name) => {
    const { max, field } = runLimitRanges[name];
    expect(resolveLimits({ [name]: max }, {})[name]).toBe(max);
    const error = refusal(() => resolveLimits({ [name]: max + 1 }, {}));
    expect(error.reason).toBe('LIMIT_OUT_OF_RANGE');
    expect(error.violations.map((violation) => violation.field)).toEqual([field]);
  });

  test('lowers what a manifest asks beyond the maximum of the server', () => {
    expect(resolveLimits({}, { timeoutMs: 10_000_000 }).timeoutMs).toBe(300_000);
  });

  test.each([
    [65_536, 65_536],
    [65_537, 65_536],
    [131_071, 65_536],
    [131_072, 131_072],
    [1, 65_536],
  ])('rounds %i bytes of memory to %i: whole pages, at least one', (asked, resolved) => {
    expect(resolveLimits({ memoryBytes: asked }, {}).memoryBytes).toBe(resolved);
  });

  test.each([
    [
      'fuel',
      1e13 + 1,
      'limits.fuel: must be from 0 (the default) to 10000000000000 units, but is 10000000000001 units',
    ],
    ['cpuPercent', 101, 'limits.cpu_percent: must be from 0 (the default) to 100 %, but is 101 %'],
  ])('tells of %s in its own unit', (name, value, message) => {
    expect(refusal(() => resolveLimits({ [name]: value }, {})).message).toBe(message);
  });

  test('names every limit that is wrong, and its range, in words of the request', () => {
    const error = refusal(() => resolveLimits({ timeoutMs: 400_000, outputBytes: -1 }, {}));
    expect(error.message).toBe('limits.timeout: must be from 0 (the default) to 300 s, but is 400 s');
    expect(error.violations).toEqual([
      { field: 'limits.timeout', description: 'must be from 0 (the default) to 300 s, but is 400 s' },
      { field: 'limits.output_bytes', description: 'must be from 0 (the default) to 16777216 bytes, but is -1 bytes' },
    ]);
  });
});

describe('limitViolations', () => {
  test.each([Number.NaN, Number.POSITIVE_INFINITY, -1, -0.5])('refuses %d for every limit', (value) => {
    const asked = Object.fromEntries(names.map((name) => [name, value]));
    expect(limitViolations(asked)).toHaveLength(names.length);
  });

  test('refuses fractions of a byte and of a unit, but not of a millisecond', () => {
    expect(limitViolations({ memoryBytes: 65_536.5 }).map(({ field }) => field)).toEqual(['limits.memory_bytes']);
    expect(limitViolations({ fuel: 0.5 }).map(({ field }) => field)).toEqual(['limits.fuel']);
    expect(limitViolations({ timeoutMs: 0.5 })).toEqual([]);
  });
});

function refusal(attempt: () => unknown): ExecError {
  try {
    attempt();
  } catch (error) {
    if (error instanceof ExecError) return error;
  }
  throw new Error('No ExecError was thrown');
}
