/**
 * Random valid modules, raw against metered in every way there is: results,
 * traps, host calls, memories and globals are the same, and the fuel is that of
 * counting instruction by instruction.
 */

import { describe, expect, test } from 'vitest';
import { compareForms } from '../helpers/differential.ts';
import { randomModule } from '../helpers/random-module.ts';

const modules = process.env['CAISSON_TEST_FULL'] === '1' ? 5_000 : 600;
const batch = 100;
const slices = [1n, 97n, 10_000n, 2_000_000n];

describe('Metering', () => {
  test.each(Array.from({ length: modules / batch }, (_, index) => index * batch))(
    'changes nothing that can be seen of modules from seed %i on, and counts exactly',
    (first) => {
      let calls = 0;
      for (let seed = first; seed < first + batch; seed++) {
        const bytes = randomModule(seed);
        expect(WebAssembly.validate(bytes), `seed ${seed}`).toBe(true);
        try {
          calls += compareForms(bytes, { slice: slices[seed % slices.length] ?? 1n }).calls;
        } catch (error) {
          throw new Error(`Seed ${seed}`, { cause: error });
        }
      }
      expect(calls).toBeGreaterThan(batch / 2);
    },
    120_000,
  );
});
