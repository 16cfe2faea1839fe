/**
 * Who is compared: servers that answer the same frames. What a frame is called in
 * Caisson, where a guest has a name for each mode, decides the mode.
 */

import { create, toBinary } from '@bufbuild/protobuf';
import { ExecuteRequestSchema } from '../src/gen/caisson/v1/execution_pb.ts';
import type { BenchContext } from './context.ts';
import type { ServerName } from './fleet.ts';
import { type InstanceMode, pluginName } from './guests.ts';
import type { BenchServer } from './process.ts';
import { missingRow, type Row } from './report.ts';

export interface Contender {
  readonly title: string;
  readonly server: ServerName;
  readonly mode?: InstanceMode;
}

const contender = (title: string, server: ServerName): Contender => ({ title, server });

export const bare = contender('bare grpc-js echo', 'grpc-js');
export const bareBytes = contender('bare grpc-js echo, bytes as they are', 'grpc-js-bytes');
export const rawHttp2 = contender('node:http2 by hand, the floor', 'raw-http2');
export const fresh: Contender = { title: 'Caisson, fresh', server: 'caisson', mode: 'fresh' };
export const reuse: Contender = { title: 'Caisson, reuse', server: 'caisson', mode: 'reuse' };
export const extismCreate = contender('Extism, createPlugin per call', 'extism-create');
export const extismReuse = contender('Extism, one plugin reused', 'extism-reuse');
export const extismWorker = contender('Extism runInWorker, reused, one per processor', 'extism-worker');
export const extismWorkerUsed = contender('Extism runInWorker, after many calls', 'extism-worker-used');
export const piscinaCreate = contender('piscina + Extism, createPlugin per call', 'piscina-create');
export const piscinaReuse = contender('piscina + Extism, plugins reused', 'piscina-reuse');
export const goFresh = contender('Go: grpc-go + Extism (wazero), fresh', 'go-fresh');
export const goPooled = contender('Go: grpc-go + Extism (wazero), pooled', 'go-pooled');
export const goUnbounded = contender('Go: the same, but nothing ever stops a guest', 'go-unbounded');
export const rustFresh = contender('Rust: tonic + Extism (wasmtime, fuel), fresh', 'rust-fresh');
export const rustPooled = contender('Rust: tonic + Extism (wasmtime, fuel), pooled', 'rust-pooled');

/** What is called, and what must come back. */
export interface Workload {
  readonly guest: string;
  readonly functionName: string;
  readonly input: Uint8Array;
  /** Undefined where nobody knows it beforehand. */
  readonly output?: Uint8Array;
}

/** A contender that is running, and the bytes to send it. */
export interface Target {
  readonly title: string;
  readonly server: BenchServer;
  readonly path: string;
  readonly message: Uint8Array;
  readonly output?: Uint8Array;
}

export const executePath = '/caisson.v1.ExecutionService/Execute';

export interface Targets {
  readonly targets: readonly Target[];
  /** Of those that cannot be had. */
  readonly missing: readonly Row[];
}

/** Starts the contenders, all at once. */
export async function targetsOf(
  { fleet }: BenchContext,
  contenders: readonly Contender[],
  workload: Workload,
  caseName: string,
): Promise<Targets> {
  const started = await Promise.allSettled(contenders.map(({ server }) => fleet.server(server)));
  const targets: Target[] = [];
  const missing: Row[] = [];
  for (const [index, result] of started.entries()) {
    const one = contenders[index];
    if (one === undefined) continue;
    if (result.status === 'fulfilled') targets.push(targetOf(one, result.value, workload));
    else missing.push(missingRow(caseName, one.title, messageOf(result.reason)));
  }
  return { targets, missing };
}

export function targetOf({ title, mode = 'fresh' }: Contender, server: BenchServer, workload: Workload): Target {
  const { guest, functionName, input, output } = workload;
  const message = executeMessage(pluginName(guest, mode), functionName, input);
  return { title, server, path: executePath, message, ...(output && { output }) };
}

export function executeMessage(plugin: string, functionName: string, input: Uint8Array): Uint8Array {
  return toBinary(ExecuteRequestSchema, create(ExecuteRequestSchema, { plugin, function: functionName, input }));
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
