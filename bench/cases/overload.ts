/**
 * Twice as many calls as the server can do: how much it still does, how long those
 * wait that are admitted, how soon the others are refused, what it takes in memory,
 * and how soon it is itself again. The guest takes some tenths of a millisecond, so
 * that capacity is a matter of processors and not of the edge alone.
 */

import { setTimeout as sleep } from 'node:timers/promises';
import type { BenchContext, Case } from '../context.ts';
import { executeMessage, executePath } from '../contenders.ts';
import { startCaisson } from '../fleet.ts';
import type { PacedResult, Quantiles } from '../load/jobs.ts';
import type { BenchServer } from '../process.ts';
import type { Row } from '../report.ts';
import { bytesText, rateText, usText } from '../rows.ts';

const thousandSteps = '300';
const overloadMs = 30_000;
const overloadMsQuick = 5_000;
const factor = 2;
const inFlight = 32;
/** Capacity is known when a look at it gives no more than so many times the one before. */
const settledFactor = 1.1;
const looksMax = 8;
/** A server is itself again when the median of some calls is no longer than so many times what it was. */
const recoveredFactor = 1.5;
const recoveryMsMax = 20_000;
const rssEveryMs = 100;
const name = `${factor} × capacity`;

export const overload: Case = async (context) => {
  await using server = await startCaisson(context.fleet.surroundings, 'overload');
  const capacity = await settledCapacity(context, server);
  const calm = await closedLoop(context, server, 1, lookMs(context));
  const rss = new RssWatch(server);
  const paced = await sendTooMuch(context, server, capacity).finally(() => rss.stop());
  const recoveryMs = await recovery(context, server, calm.p50Us);
  const after = await closedLoop(context, server, inFlight, lookMs(context));
  const found = { capacity, calmUs: calm.p50Us, paced, rss, recoveryMs, after: after.perSecond };
  return { name: 'overload', rows: rowsOfFound(found), reading: reading(found) };
};

interface Found {
  /** Calls a second before. */
  readonly capacity: number;
  /** And after. */
  readonly after: number;
  readonly calmUs: number;
  readonly paced: PacedResult;
  readonly rss: RssWatch;
  readonly recoveryMs: number;
}

function lookMs({ quick }: BenchContext): number {
  return quick ? 200 : 2_000;
}

function request({ address }: BenchServer) {
  const message = executeMessage('workload', 'work', Buffer.from(thousandSteps));
  return { address, path: executePath, message: Buffer.from(message).toString('base64') };
}

/** Looks again as long as it grows: what is new gets faster. */
async function settledCapacity(context: BenchContext, server: BenchServer): Promise<number> {
  let best = 0;
  for (let look = 0; look < looksMax; look++) {
    const { perSecond } = await closedLoop(context, server, inFlight, lookMs(context));
    if (perSecond < best * settledFactor) return Math.max(best, perSecond);
    best = perSecond;
  }
  return best;
}

function sendTooMuch({ load, quick }: BenchContext, server: BenchServer, capacity: number): Promise<PacedResult> {
  const perSecond = capacity * factor;
  const ms = quick ? overloadMsQuick : overloadMs;
  return load.run<'paced'>({ kind: 'paced', ...request(server), connections: 8, perSecond, ms });
}

async function closedLoop(
  { load }: BenchContext,
  server: BenchServer,
  streams: number,
  ms: number,
): Promise<{ readonly perSecond: number; readonly p50Us: number }> {
  const { message, ...rest } = request(server);
  const result = await load.run<'calls'>({ kind: 'calls', ...rest, messages: [message], connections: 1, streams, ms });
  if (result.failures > 0) throw new Error(`${result.failures} of ${result.count} calls failed: ${result.failure}`);
  return { perSecond: result.count / result.seconds, p50Us: result.latencyUs.p50 };
}

/** Until calls take no longer than before, in milliseconds. */
async function recovery(context: BenchContext, server: BenchServer, calmUs: number): Promise<number> {
  const begin = performance.now();
  while (performance.now() - begin < recoveryMsMax) {
    const elapsedMs = performance.now() - begin;
    const { p50Us } = await closedLoop(context, server, 1, 50);
    if (p50Us <= calmUs * recoveredFactor) return elapsedMs;
  }
  throw new Error(`After ${recoveryMsMax / 1_000} s calls still took longer than before`);
}

/** Looks at a server's memory until it is told to stop. */
class RssWatch {
  readonly before: number;
  peak = 0;
  after = 0;
  readonly #server: BenchServer;
  #isOver = false;

  constructor(server: BenchServer) {
    this.#server = server;
    this.before = server.rssBytes();
    void this.#watch();
  }

  stop(): void {
    this.after = this.#server.rssBytes();
    this.#isOver = true;
  }

  async #watch(): Promise<void> {
    while (!this.#isOver) {
      this.peak = Math.max(this.peak, this.#server.rssBytes());
      await sleep(rssEveryMs);
    }
  }
}

function rowsOfFound({ capacity, after, calmUs, paced, rss, recoveryMs }: Found): readonly Row[] {
  const row = (contender: string, figure: string, spread: string, ratio = Number.NaN, note = ''): Row => {
    return { case: name, contender, figure, spread, ratio, note };
  };
  const done = paced.admitted / paced.seconds;
  const memory = `${bytesText(rss.before)} before, ${bytesText(rss.after)} after`;
  return [
    row(`capacity, ${inFlight} in flight`, rateText(capacity), '–', 1, `p50 with 1 in flight ${usText(calmUs)}`),
    row('done under overload', rateText(done), `of ${rateText(paced.sent / paced.seconds)} sent`, done / capacity),
    row('capacity afterwards', rateText(after), '–', after / capacity),
    latencyRow('latency of admitted calls', paced.admitted, paced.admittedUs),
    latencyRow('latency of refusals', paced.refused, paced.refusedUs),
    row('calls that failed otherwise', `${paced.failures}`, '–', Number.NaN, paced.failure ?? ''),
    row('most resident memory', bytesText(rss.peak), memory, rss.before / rss.peak),
    row(
      'recovery',
      recoveryText(recoveryMs),
      '–',
      Number.NaN,
      `from the last answer until p50 is within ${recoveredFactor} × of before`,
    ),
  ];
}

function recoveryText(ms: number): string {
  return ms < 1 ? 'at once' : usText(ms * 1_000);
}

function latencyRow(contender: string, count: number, us: Quantiles): Row {
  const figure = count === 0 ? 'none' : usText(us.p50);
  const spread = count === 0 ? '–' : `p99 ${usText(us.p99)}, at most ${usText(us.max)}`;
  return { case: name, contender, figure, spread, ratio: Number.NaN, note: `${count} calls` };
}

function reading({ capacity, after, paced, rss, recoveryMs }: Found): readonly string[] {
  const percent = (part: number): string => `${Math.round(part * 100)} %`;
  const done = paced.admitted / paced.seconds / capacity;
  const refused = `${percent(paced.refused / paced.sent)} of the calls are refused, within ${usText(paced.refusedUs.p99)} (p99)`;
  const doubt = `capacity was underestimated (${percent(after / capacity)} of it afterwards): this was not ${factor} × as much`;
  return [
    `at ${factor} × capacity it does ${percent(done)} of what it can; ${refused}`,
    `memory peaks at ${bytesText(rss.peak)}, from ${bytesText(rss.before)}; itself again ${recoveryText(recoveryMs)} after the last answer`,
    ...(Math.max(done, after / capacity) > 1.2 ? [doubt] : []),
  ];
}
