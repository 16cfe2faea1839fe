/**
 * Measuring: contenders of one case are run in turn, round after round, in one
 * process lifetime, so that a drift of the machine's speed touches all alike.
 * Only ratios within one run mean anything.
 */

export interface Contender {
  readonly name: string;
  /** Does the work once per unit. */
  run(): Promise<void> | void;
}

export interface Figure {
  readonly name: string;
  /** Median over rounds of the microseconds for one unit. */
  readonly medianUs: number;
  readonly minUs: number;
  readonly maxUs: number;
  /** How many times as fast as the baseline: the median of the ratios round by round. */
  readonly ratio: number;
}

export interface MeasureOptions {
  readonly rounds: number;
  readonly unitsPerRound: number;
  readonly warmupUnits: number;
}

/** Runs all contenders interleaved; the first is the baseline. */
export async function compare(contenders: readonly Contender[], options: MeasureOptions): Promise<readonly Figure[]> {
  for (const contender of contenders) await timeUnits(contender, options.warmupUnits);
  const rounds = contenders.map((): number[] => []);
  for (let round = 0; round < options.rounds; round++) {
    for (const [index, contender] of contenders.entries())
      rounds[index]?.push(await timeUnits(contender, options.unitsPerRound));
  }
  const baseline = rounds[0] ?? [];
  return contenders.map((contender, index) => figure(contender.name, rounds[index] ?? [], baseline));
}

export function figure(name: string, samplesUs: readonly number[], baselineUs: readonly number[]): Figure {
  return {
    name,
    medianUs: median(samplesUs),
    minUs: Math.min(...samplesUs),
    maxUs: Math.max(...samplesUs),
    ratio: median(samplesUs.map((value, index) => (baselineUs[index] ?? Number.NaN) / value)),
  };
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

export function quantile(values: readonly number[], at: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * at))] ?? Number.NaN;
}

async function timeUnits(contender: Contender, units: number): Promise<number> {
  const start = performance.now();
  for (let unit = 0; unit < units; unit++) {
    const pending = contender.run();
    if (pending !== undefined) await pending;
  }
  return ((performance.now() - start) * 1_000) / units;
}
