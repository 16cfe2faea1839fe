/**
 * Plain Extism behind the common edge: `node extism.ts MODE FOLDER`. Modes:
 * "create" makes a plugin for each call, from a module compiled once; "reuse" calls
 * one plugin again and again; "worker" does so in Extism's own workers, one plugin
 * for each processor.
 */

import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { createPlugin, type Plugin } from '@extism/extism';
import type { ExecuteRequest } from '../../src/gen/caisson/v1/execution_pb.ts';
import { serveExecute } from './edge.ts';
import { callFresh, compileModules, KeptPlugins, newPlugin } from './extism-plugins.ts';

type Run = (request: ExecuteRequest) => Promise<Uint8Array>;

async function runnerOf(mode: string, folder: string): Promise<Run> {
  if (mode === 'worker') return inWorkers(folder);
  const modules = await compileModules(folder);
  if (mode === 'create') return (request) => callFresh(modules, request.plugin, request.function, request.input);
  const kept = new KeptPlugins((name) => newPlugin(modules, name));
  return (request) => kept.call(request.plugin, request.function, request.input);
}

/** As many plugins as processors, called in turn. */
function inWorkers(folder: string): Run {
  const create = (name: string): Promise<Plugin> => {
    const data = new Uint8Array(readFileSync(join(folder, `${name}.wasm`)));
    return createPlugin({ wasm: [{ data }] }, { useWasi: false, runInWorker: true });
  };
  const workers = Array.from({ length: availableParallelism() }, () => new KeptPlugins(create));
  let next = 0;
  return (request) => {
    const worker = workers[next++ % workers.length];
    if (worker === undefined) throw new Error('There is no processor');
    return worker.call(request.plugin, request.function, request.input);
  };
}

const [mode = '', folder = ''] = process.argv.slice(2);
serveExecute(await runnerOf(mode, folder));
