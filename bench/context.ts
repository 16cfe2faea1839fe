/** What a case gets to work with, and how long it may take. */

import type { Fleet } from './fleet.ts';
import type { LoadProcess } from './load-process.ts';
import type { CaseReport } from './report.ts';

export interface BenchContext {
  readonly quick: boolean;
  readonly rounds: number;
  /** One contender's part of a round. */
  readonly roundMs: number;
  /** How long a contender runs before it is measured. */
  readonly warmUpMs: number;
  readonly fleet: Fleet;
  readonly load: LoadProcess;
  /** A folder of the run's own. */
  readonly directory: string;
  /** Version of h2load; undefined if it is not installed. */
  readonly h2load: string | undefined;
}

export type Case = (context: BenchContext) => Promise<CaseReport>;

export const fullPace = { rounds: 5, roundMs: 700, warmUpMs: 1_000 } as const;
export const quickPace = { rounds: 3, roundMs: 100, warmUpMs: 150 } as const;
