/**
 * Figures of fuel that must not change by themselves: who stored one compares it
 * with later ones of the same version of the table of costs.
 */

import { describe, expect, test } from 'vitest';
import { costTableVersion } from '../../src/wasm/metering/costs.ts';
import { compareForms } from '../helpers/differential.ts';
import { wat } from '../helpers/wat.ts';
import { fuelOfRun, goldenFigures, goldenTexts } from './fuel-figures.ts';

const advice =
  'A change of figures needs a new costTableVersion in src/wasm/metering/costs.ts. If that is what you want, ' +
  'raise it, and write version and figures into test/golden/fuel/figures.json';

describe('Figures of fuel', () => {
  test('are those of the version of the table of costs', () => {
    expect(goldenFigures.costTableVersion, advice).toBe(costTableVersion);
  });

  test('exist for each golden module and for no other', () => {
    expect(Object.keys(goldenFigures.figures).toSorted()).toEqual([...goldenTexts().keys()].toSorted());
  });

  test.each([...goldenTexts()])('of %s are as they were', (name, text) => {
    expect(fuelOfRun(wat(text)), advice).toBe(goldenFigures.figures[name]);
  });

  test.each([...goldenTexts()].filter(([name]) => name !== 'host-calls'))(
    'of %s are those of counting instruction by instruction',
    (_name, text) => {
      expect(compareForms(wat(text)).fuel).toBe(1);
    },
  );
});
