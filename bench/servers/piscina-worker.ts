/** A thread of the piscina baseline: runs Extism in the foreground. Its two exports are its two modes. */

import { workerData } from 'node:worker_threads';
import { callFresh, compileModules, KeptPlugins, newPlugin } from './extism-plugins.ts';

export interface Task {
  readonly plugin: string;
  readonly functionName: string;
  readonly input: Uint8Array;
}

const modules = await compileModules(workerData as string);
const kept = new KeptPlugins((name) => newPlugin(modules, name));

export function create({ plugin, functionName, input }: Task): Promise<Uint8Array> {
  return callFresh(modules, plugin, functionName, input);
}

export function reuse({ plugin, functionName, input }: Task): Promise<Uint8Array> {
  return kept.call(plugin, functionName, input);
}
