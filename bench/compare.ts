/** The two ways to look at unary calls: throughput at saturation, and latency with one in flight. */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { BenchContext } from './context.ts';
import { messageOf, type Target } from './contenders.ts';
import { runH2Load } from './h2load.ts';
import type { CallsResult } from './load/jobs.ts';
import { interleave } from './measure.ts';
import { cpuUsBetween } from './process.ts';
import { grpcFrame, prefixBytes } from './wire/grpc-messages.ts';

/** Calls in flight: connections times calls on each. */
export interface Shape {
  readonly connections: number;
  readonly streams: number;
}

export const oneInFlight: Shape = { connections: 1, streams: 1 };
export const saturation: Shape = { connections: 8, streams: 8 };
/** For messages of which a few fill the processors. */
export const saturationLarge: Shape = { connections: 4, streams: 2 };

/** A target that was measured, or the reason why it was not. */
export type Measured<Sample> =
  | { readonly target: Target; readonly samples: readonly Sample[] }
  | { readonly target: Target; readonly failure: string };

export interface Throughput {
  readonly callsPerSecond: number;
  /** CPU time of the server for each call, by thread. */
  readonly cpuUs: ReadonlyMap<string, number>;
}

/** Throughput of all targets, round by round. */
export async function measureThroughput(
  context: BenchContext,
  targets: readonly Target[],
  shape: Shape,
): Promise<readonly Measured<Throughput>[]> {
  const prepared = await prepareAll(targets, (target, index) => prepareThroughput(context, target, shape, index));
  return measurePrepared(prepared, context.rounds);
}

/** Latencies of all targets, round by round. */
export async function measureLatency(
  context: BenchContext,
  targets: readonly Target[],
): Promise<readonly Measured<CallsResult>[]> {
  const prepared = await prepareAll(targets, async (target) => {
    await checkedCalls(context, target, oneInFlight, context.warmUpMs);
    return () => checkedCalls(context, target, oneInFlight, context.roundMs);
  });
  return measurePrepared(prepared, context.rounds);
}

type Prepared<Sample> = { readonly target: Target } & (
  | { readonly run: () => Promise<Sample> }
  | { readonly failure: string }
);

/** One after the other, so that nobody is disturbed while warming up. */
async function prepareAll<Sample>(
  targets: readonly Target[],
  prepare: (target: Target, index: number) => Promise<() => Promise<Sample>>,
): Promise<readonly Prepared<Sample>[]> {
  const prepared: Prepared<Sample>[] = [];
  for (const [index, target] of targets.entries()) {
    try {
      prepared.push({ target, run: await prepare(target, index) });
    } catch (error) {
      prepared.push({ target, failure: messageOf(error) });
    }
  }
  return prepared;
}

async function measurePrepared<Sample>(
  prepared: readonly Prepared<Sample>[],
  rounds: number,
): Promise<readonly Measured<Sample>[]> {
  const running = prepared.flatMap((one) => ('run' in one ? [one] : []));
  const samples = await interleave(
    running.map(({ run }) => run),
    rounds,
  );
  const byTarget = new Map(running.map(({ target }, index) => [target, samples[index] ?? []]));
  return prepared.map((one) =>
    'failure' in one ? one : { target: one.target, samples: byTarget.get(one.target) ?? [] },
  );
}

/** Calls from our own generator, every status and a sample of the outputs checked. Throws if one failed. */
export async function checkedCalls(
  { load }: BenchContext,
  { server, path, message, output }: Target,
  shape: Shape,
  ms: number,
  countMax?: number,
): Promise<CallsResult> {
  const result = await load.run<'calls'>({
    kind: 'calls',
    address: server.address,
    path,
    messages: [Buffer.from(message).toString('base64')],
    ...(output && { output: Buffer.from(output).toString('base64') }),
    ...shape,
    ms,
    ...(countMax !== undefined && { count: countMax }),
  });
  if (result.failures > 0) throw new Error(`${result.failures} of ${result.count} calls failed: ${result.failure}`);
  return result;
}

/** Warms up, and finds how many calls fill a round. */
async function prepareThroughput(
  context: BenchContext,
  target: Target,
  shape: Shape,
  index: number,
): Promise<() => Promise<Throughput>> {
  const { count, seconds, answerBytes } = await checkedCalls(context, target, shape, context.warmUpMs);
  if (context.h2load === undefined) return () => throughputOf(target, () => ownThroughput(context, target, shape));
  const bodyFile = join(context.directory, `frame-${index}.bin`);
  writeFileSync(bodyFile, grpcFrame(target.message));
  const inFlight = shape.connections * shape.streams;
  let calls = Math.max(inFlight, Math.round((count / seconds) * (context.roundMs / 1_000)));
  const run = async (): Promise<Counted> => {
    const { address } = target.server;
    const result = await runH2Load({ address, path: target.path, bodyFile, calls, ...shape });
    if (result.failures > 0) throw new Error(`${result.failures} of ${calls} calls failed`);
    refuseMissingBytes(result.dataBytes, calls, prefixBytes + answerBytes / count);
    return { callsPerSecond: result.callsPerSecond, calls };
  };
  const { callsPerSecond } = await run();
  calls = Math.max(inFlight, Math.round(callsPerSecond * (context.roundMs / 1_000)));
  return () => throughputOf(target, run);
}

interface Counted {
  readonly callsPerSecond: number;
  readonly calls: number;
}

async function ownThroughput(context: BenchContext, target: Target, shape: Shape): Promise<Counted> {
  const { count, seconds } = await checkedCalls(context, target, shape, context.roundMs);
  return { callsPerSecond: count / seconds, calls: count };
}

async function throughputOf({ server }: Target, run: () => Promise<Counted>): Promise<Throughput> {
  const before = server.cpuUs();
  const { callsPerSecond, calls } = await run();
  const spent = cpuUsBetween(before, server.cpuUs());
  return { callsPerSecond, cpuUs: new Map([...spent].map(([name, us]) => [name, us / calls])) };
}

/** Answers of one server differ by some digits of their times. */
const bytesTolerated = 0.95;

/**
 * h2load sees HTTP alone, where a call that failed looks like one that did not: but
 * its answer has no body. Answers are checked one by one in the warm-up, which tells
 * how long one is.
 */
function refuseMissingBytes(dataBytes: number, calls: number, answerBytes: number): void {
  const expected = calls * answerBytes;
  if (dataBytes < expected * bytesTolerated)
    throw new Error(
      `${Math.round((1 - dataBytes / expected) * 100)} % of the bytes of answers are missing: calls failed`,
    );
}
