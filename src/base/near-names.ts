/** Names that someone may have meant: the nearest ones by edit distance, for error messages. Pure. */

const distanceMax = 2;
const suggestionsMax = 3;
/** Names looked at, so that a wrong name costs the server little. */
const scannedMax = 1_000;

/** Up to three of `names` that differ from `name` in at most two letters, nearest first. */
export function nearNames(name: string, names: Iterable<string>): readonly string[] {
  const found: { readonly name: string; readonly distance: number }[] = [];
  let scanned = 0;
  for (const candidate of names) {
    if (++scanned > scannedMax) break;
    const distance = editDistance(name, candidate);
    if (distance <= distanceMax && distance < candidate.length) found.push({ name: candidate, distance });
  }
  return found
    .sort((a, b) => a.distance - b.distance)
    .slice(0, suggestionsMax)
    .map((near) => near.name);
}

/** ` (did you mean "a" or "b"?)`, or nothing if nothing is near. */
export function suggestion(name: string, names: Iterable<string>): string {
  const near = nearNames(name, names);
  return near.length === 0 ? '' : ` (did you mean ${near.map((text) => `"${text}"`).join(' or ')}?)`;
}

/** Letters to insert, delete or replace to come from one to the other; anything over the maximum is given as maximum + 1. */
function editDistance(from: string, to: string): number {
  if (Math.abs(from.length - to.length) > distanceMax) return distanceMax + 1;
  let row = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let i = 1; i <= from.length; i++) {
    row = nextRow(row, { letter: from.charCodeAt(i - 1), to, index: i });
    if (Math.min(...row) > distanceMax) return distanceMax + 1;
  }
  return row[to.length] ?? distanceMax + 1;
}

function nextRow(above: readonly number[], step: { letter: number; to: string; index: number }): number[] {
  const row = [step.index];
  for (let j = 1; j <= step.to.length; j++) {
    const replaced = (above[j - 1] ?? 0) + (step.to.charCodeAt(j - 1) === step.letter ? 0 : 1);
    row.push(Math.min(replaced, (above[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1));
  }
  return row;
}
