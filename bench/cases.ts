/**
 * The cases by name, in the order in which they are run. "metering" comes last: it
 * sets flags of V8 for this process.
 */

import { cold } from './cases/cold.ts';
import { cost } from './cases/cost.ts';
import { cpu } from './cases/cpu.ts';
import { growth } from './cases/growth.ts';
import { many } from './cases/many.ts';
import { memory } from './cases/memory.ts';
import { metering } from './cases/metering.ts';
import { overload } from './cases/overload.ts';
import { peers } from './cases/peers.ts';
import { plugins } from './cases/plugins.ts';
import { pool } from './cases/pool.ts';
import { processes } from './cases/processes.ts';
import { progress } from './cases/progress.ts';
import { stop } from './cases/stop.ts';
import { unary } from './cases/unary.ts';
import type { Case } from './context.ts';

export const cases: Readonly<Record<string, Case>> = {
  unary,
  peers,
  many,
  progress,
  cold,
  stop,
  pool,
  cost,
  growth,
  cpu,
  memory,
  plugins,
  overload,
  processes,
  metering,
};

/** Cases too long for a quick run of everything; named, they are run. */
export const slowCases: readonly string[] = ['metering'];
