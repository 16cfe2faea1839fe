/** Shows which functions of a guest spent its fuel, on stderr: stdout is the guest's. */

import type { FuelProfile, ProfiledFunction } from '../model/fuel-profile.ts';
import { type Output, shown, tableText } from './output.ts';

const functionsShown = 30;

export function reportFuel(profile: FuelProfile, output: Output, isJson: boolean): void {
  output.note(isJson ? JSON.stringify({ fuelReport: profile }) : fuelReportText(profile));
}

export function fuelReportText({ sliceUnits, slices, functions }: FuelProfile): string {
  if (slices === 0) return `caisson: the run took less than ${sliceUnits} units of fuel, too few to say where`;
  const share = (count: number): string => `${((100 * count) / slices).toFixed(1)} %`;
  const rows = functions
    .slice(0, functionsShown)
    .map((one) => [share(one.selfSlices), share(one.totalSlices), nameOf(one)]);
  const more = functions.length - rows.length;
  const rest = more > 0 ? `\nand ${more} functions more` : '';
  return `Fuel by function, seen at ${slices} slices of ${sliceUnits} units:\n${tableText(['SELF', 'TOTAL', 'FUNCTION'], rows).trimEnd()}${rest}`;
}

function nameOf({ function: name, functionIndex }: ProfiledFunction): string {
  return name === '' ? `func[${functionIndex}]` : shown(name);
}
