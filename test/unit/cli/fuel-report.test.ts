import { describe, expect, test } from 'vitest';
import { fuelReportText } from '../../../src/cli/fuel-report.ts';

const one = (name: string, functionIndex: number, selfSlices: number, totalSlices: number) => ({
  function: name,
  functionIndex,
  selfSlices,
  totalSlices,
});

describe('fuelReportText', () => {
  test('gives each function its shares, and one without a name its index', () => {
    const functions = [one('parse', 4, 3, 4), one('', 7, 1, 4)];
    expect(fuelReportText({ sliceUnits: 100, slices: 4, functions }).split('\n')).toEqual([
      'Fuel by function, seen at 4 slices of 100 units:',
      'SELF    TOTAL    FUNCTION',
      '75.0 %  100.0 %  parse',
      '25.0 %  100.0 %  func[7]',
    ]);
  });

  test('makes names safe for a terminal', () => {
    expect(fuelReportText({ sliceUnits: 1, slices: 1, functions: [one('a\u001b[2Jb', 0, 1, 1)] })).not.toContain(
      '\u001b',
    );
  });

  test('says how many functions it leaves out', () => {
    const functions = Array.from({ length: 31 }, (_, index) => one(`f${index}`, index, 1, 1));
    expect(fuelReportText({ sliceUnits: 1, slices: 31, functions })).toContain('and 1 functions more');
  });

  test('says so when the run was too short to say anything', () => {
    expect(fuelReportText({ sliceUnits: 100, slices: 0, functions: [] })).toContain('less than 100 units');
  });
});
