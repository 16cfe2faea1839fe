/**
 * Unary Execute of a no-op in a fresh instance, against a bare grpc-js server
 * that gives back the bytes it gets. Load comes from a process of its own.
 */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { create, toBinary } from '@bufbuild/protobuf';
import { ExecuteRequestSchema } from '../../src/gen/caisson/v1/execution_pb.ts';
import { median } from '../measure.ts';
import { type BenchServer, type Load, load, startServer } from '../process.ts';
import type { CaseReport, Row } from '../report.ts';

const root = join(import.meta.dirname, '../..');

interface Shape {
  readonly name: string;
  readonly connections: number;
  readonly streams: number;
  readonly count: number;
}

export async function execute(options: { quick: boolean }): Promise<CaseReport> {
  const data = mkdtempSync(join(tmpdir(), 'caisson-bench-'));
  try {
    await using bare = await startServer([join(root, 'bench/servers/bare-grpc.ts')]);
    await using caisson = await startServer([
      join(root, 'src/main.ts'),
      ...['serve', '--grpc', '127.0.0.1:0', '--admin', '127.0.0.1:0', '--data-dir', data, '--log-level', 'error'],
      ...['--publish', join(root, 'plugins-examples/build')],
    ]);
    const scale = options.quick ? 0.2 : 1;
    const shapes: readonly Shape[] = [
      { name: 'no-op, 1 in flight', connections: 1, streams: 1, count: Math.round(1_500 * scale) },
      { name: 'no-op, 64 in flight', connections: 8, streams: 8, count: Math.round(6_000 * scale) },
    ];
    const rows: Row[] = [];
    for (const shape of shapes) rows.push(...(await compareShape(shape, bare, caisson, options.quick ? 3 : 5)));
    return { name: 'execute', rows, reading: reading(rows) };
  } finally {
    rmSync(data, { recursive: true, force: true });
  }
}

async function compareShape(
  shape: Shape,
  bare: BenchServer,
  caisson: BenchServer,
  rounds: number,
): Promise<readonly Row[]> {
  const request = create(ExecuteRequestSchema, { plugin: 'echo', function: 'nop' });
  const message = toBinary(ExecuteRequestSchema, request);
  const { name: _, ...counts } = shape;
  const contenders: readonly { name: string; server: BenchServer; load: Load }[] = [
    { name: 'bare grpc-js echo', server: bare, load: { path: '/bench.Bare/Echo', message, ...counts } },
    {
      name: 'Caisson, fresh instance',
      server: caisson,
      load: { path: '/caisson.v1.ExecutionService/Execute', message, ...counts },
    },
  ];
  for (const contender of contenders) await load(contender.server, contender.load);
  const results = contenders.map((): Awaited<ReturnType<typeof load>>[] => []);
  for (let round = 0; round < rounds; round++) {
    for (const [index, contender] of contenders.entries())
      results[index]?.push(await load(contender.server, contender.load));
  }
  const baseline = results[0] ?? [];
  return contenders.map(({ name }, index) => {
    const mine = results[index] ?? [];
    const rates = mine.map((result) => result.callsPerSecond);
    const us = (pick: (result: (typeof mine)[number]) => number): string => `${Math.round(median(mine.map(pick)))} µs`;
    return {
      case: shape.name,
      contender: name,
      figure: `${Math.round(median(rates))}/s`,
      spread: `${Math.round(Math.min(...rates))} to ${Math.round(Math.max(...rates))}`,
      ratio: median(
        mine.map((result, round) => result.callsPerSecond / (baseline[round]?.callsPerSecond ?? Number.NaN)),
      ),
      note: `p50 ${us((r) => r.p50Us)}, p99 ${us((r) => r.p99Us)}, server CPU ${us((r) => r.cpuUsPerCall)} a call`,
    };
  });
}

function reading(rows: readonly Row[]): readonly string[] {
  return rows
    .filter((row) => row.contender.startsWith('Caisson'))
    .map((row) => `${row.case}: ${row.ratio.toFixed(2)} of the calls a second of a server that does nothing at all`);
}
