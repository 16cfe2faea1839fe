import { describe, expect, test } from 'vitest';
import { rewrittenSizeProblem } from '../../../src/wasm/rewritten-size.ts';

describe('rewrittenSizeProblem', () => {
  test.each([
    [0, 1_048_576],
    [1_000, 1_049_976],
    [1_001, 1_049_977],
    [16 * 1_048_576, 24_536_678],
  ])('lets a module of %i bytes become one of %i, and no larger', (before, after) => {
    expect(rewrittenSizeProblem(before, after)).toBeUndefined();
    expect(rewrittenSizeProblem(before, after + 1)).toEqual({
      reason: 'WASM_OVER_LIMIT',
      location: 'module',
      message:
        `With fuel counted the module has ${after + 1} bytes; at most ${after} are allowed, ` +
        `1.4 times its ${before} bytes and 1048576 more: split the module or build it for size`,
    });
  });
});
