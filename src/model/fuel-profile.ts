/**
 * Where a run spent its fuel: how often each function was found on the guest's
 * stack when a slice of fuel was used up. The same run gives the same profile.
 */

/** One function of the guest. */
export interface ProfiledFunction {
  /** Empty if the module carries no names. */
  readonly function: string;
  /** Its index in the module as published. */
  readonly functionIndex: number;
  /** Slices that ended while the function itself ran. */
  readonly selfSlices: number;
  /** Slices that ended while it or what it called ran. */
  readonly totalSlices: number;
}

export interface FuelProfile {
  /** Units of fuel between two looks. */
  readonly sliceUnits: number;
  readonly slices: number;
  /** Most fuel of its own first. */
  readonly functions: readonly ProfiledFunction[];
}
