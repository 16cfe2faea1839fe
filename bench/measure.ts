/**
 * Measuring: contenders of one case are run in turn, round after round, so that
 * a drift of the machine's speed touches all alike. Only ratios within one run
 * mean anything.
 */

/** What one contender gave, round by round. */
export type Samples = readonly number[];

/**
 * Runs all contenders once for warming up, which is not counted, then round after
 * round. Each round begins with another one, so that none has the best place always.
 */
export async function interleave<Result>(
  contenders: readonly (() => Promise<Result>)[],
  rounds: number,
): Promise<readonly (readonly Result[])[]> {
  const results = contenders.map((): Result[] => []);
  for (const contender of contenders) await contender();
  for (let round = 0; round < rounds; round++) {
    for (const place of contenders.keys()) {
      const index = (round + place) % contenders.length;
      const contender = contenders[index];
      if (contender) results[index]?.push(await contender());
    }
  }
  return results;
}

/** Whether much or little of what is measured is good. */
export type Better = 'more' | 'less';

/** How many times as good as the baseline: the median of the ratios round by round. */
export function ratioOf(samples: Samples, baseline: Samples, better: Better): number {
  const ratios = samples.map((value, round) => {
    const base = baseline[round] ?? Number.NaN;
    return better === 'more' ? value / base : base / value;
  });
  return median(ratios);
}

export function median(values: Samples): number {
  return quantile(values, 0.5);
}

export function quantile(values: Samples, at: number): number {
  return sortedQuantile(
    values.toSorted((a, b) => a - b),
    at,
  );
}

/** The same of values that are sorted already. */
export function sortedQuantile(sorted: ArrayLike<number>, at: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * at))] ?? Number.NaN;
}

export function geometricMean(values: Samples): number {
  return Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);
}

/** Microseconds until it is done. */
export async function timedUs(run: () => Promise<unknown>): Promise<number> {
  const begin = performance.now();
  await run();
  return (performance.now() - begin) * 1_000;
}
