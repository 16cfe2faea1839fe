/** What each of several processes gets of something that is given for all of them. */

/** The share of one process: all shares are equal, but for one that the first ones may have more, and at least 1. */
export function shareOf(total: number, place: { readonly number: number; readonly processes: number }): number {
  const { number, processes } = place;
  const whole = Math.floor(total / processes);
  return Math.max(1, whole + (number < total % processes ? 1 : 0));
}
