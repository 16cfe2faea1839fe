/** Events to one subscriber: live ones of a guest that reports without a pause, and recorded ones. */

import { create, toBinary } from '@bufbuild/protobuf';
import {
  AttachExecutionRequestSchema,
  ExecuteStreamRequestSchema,
  ExecutionService,
} from '../../src/gen/caisson/v1/execution_pb.ts';
import type { Finding } from '../acceptance.ts';
import type { BenchContext, Case } from '../context.ts';
import { bare, messageOf } from '../contenders.ts';
import { Control } from '../control.ts';
import { interleave, median } from '../measure.ts';
import type { BenchServer } from '../process.ts';
import { missingRow, type Row } from '../report.ts';
import { type Figures, rateText, rowsOf } from '../rows.ts';

const streamPath = '/caisson.v1.ExecutionService/ExecuteStream';
const attachPath = '/caisson.v1.ExecutionService/AttachExecution';
/** Reports of a guest that does not stop reporting: about a second of them. */
const reportsLong = 400_000;
/** Reports that a guest may make at once. */
const reportsShort = 100;
const linesRecorded = 1_000;
const messagesBare = 10_000;

const name = 'events to one subscriber';

interface Source {
  readonly title: string;
  readonly server: BenchServer;
  readonly path: string;
  readonly message: Uint8Array;
  readonly streams: number;
}

const titles = {
  bare: 'bare grpc-js server stream',
  live: 'Caisson, one guest that reports without a pause',
  short: `Caisson, guests of ${reportsShort} reports each, 8 at once`,
  recorded: 'Caisson, recorded events by AttachExecution',
} as const;

export const progress: Case = async (context) => {
  const sources = await sourcesOf(context);
  const figures: Figures[] = [];
  const failed: Row[] = [];
  const rates = await interleave(
    sources.map((source) => () => rateOf(context, source)),
    context.rounds,
  );
  for (const [index, { title }] of sources.entries()) {
    const samples = (rates[index] ?? []).filter((rate) => typeof rate === 'number');
    const failure = (rates[index] ?? []).find((rate) => typeof rate === 'string');
    if (failure === undefined) figures.push({ contender: title, samples });
    else failed.push(missingRow(name, title, failure));
  }
  const rows = [...rowsOf({ case: name, against: titles.bare, better: 'more', text: rateText }, figures), ...failed];
  return {
    name: 'progress',
    rows,
    reading: rows.map(({ contender, figure }) => `${contender}: ${figure}`),
    findings: {
      progressLive: findingOf(figures, titles.live),
      progressRecorded: findingOf(figures, titles.recorded),
    },
  };
};

function findingOf(figures: readonly Figures[], title: string): Finding {
  const samples = figures.find(({ contender }) => contender === title)?.samples;
  return samples === undefined ? 'its row says why' : median(samples);
}

async function sourcesOf({ fleet }: BenchContext): Promise<readonly Source[]> {
  const [bareServer, caisson] = await Promise.all([fleet.server(bare.server), fleet.server('caisson')]);
  const attach = create(AttachExecutionRequestSchema, { id: await recordedExecution(caisson) });
  return [
    { title: titles.bare, server: bareServer, path: streamPath, message: progressOf(messagesBare), streams: 1 },
    { title: titles.live, server: caisson, path: streamPath, message: progressOf(reportsLong), streams: 1 },
    { title: titles.short, server: caisson, path: streamPath, message: progressOf(reportsShort), streams: 8 },
    {
      title: titles.recorded,
      server: caisson,
      path: attachPath,
      message: toBinary(AttachExecutionRequestSchema, attach),
      streams: 1,
    },
  ];
}

function progressOf(reports: number): Uint8Array {
  const input = Buffer.from(`${reports}`);
  const request = create(ExecuteStreamRequestSchema, { plugin: 'workload', function: 'progress', input });
  return toBinary(ExecuteStreamRequestSchema, request);
}

/** Runs a guest that logs as much as is kept, and answers with the execution's name. */
async function recordedExecution(caisson: BenchServer): Promise<string> {
  using control = await Control.open(caisson);
  const input = Buffer.from(`${linesRecorded}`);
  const { execution } = await control.call(ExecutionService.method.execute, {
    plugin: 'workload',
    function: 'lines',
    input,
  });
  return execution?.id ?? '';
}

/** Events a second, or what went wrong. */
async function rateOf({ load, roundMs }: BenchContext, source: Source): Promise<number | string> {
  try {
    const result = await load.run<'events'>({
      kind: 'events',
      address: source.server.address,
      path: source.path,
      message: Buffer.from(source.message).toString('base64'),
      streams: source.streams,
      ms: roundMs,
    });
    return result.failures > 0 ? (result.failure ?? 'streams failed') : result.events / result.seconds;
  } catch (error) {
    return messageOf(error);
  }
}
