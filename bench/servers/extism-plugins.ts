/** Plain Extism in Node, as its documentation has it: the guests of a folder, compiled once. */

import { readdirSync, readFileSync } from 'node:fs';
import { join, parse } from 'node:path';
import { createPlugin, type Plugin } from '@extism/extism';

export type Modules = ReadonlyMap<string, WebAssembly.Module>;

/** Every module of a folder, by name. */
export async function compileModules(folder: string): Promise<Modules> {
  const files = readdirSync(folder).filter((file) => file.endsWith('.wasm'));
  const compiled = files.map(async (file) => {
    const bytes = new Uint8Array(readFileSync(join(folder, file)));
    return [parse(file).name, await WebAssembly.compile(bytes)] as const;
  });
  return new Map(await Promise.all(compiled));
}

export async function newPlugin(modules: Modules, name: string): Promise<Plugin> {
  const module = modules.get(name);
  if (module === undefined) throw new Error(`No plugin "${name}"`);
  return createPlugin({ wasm: [{ module }] }, { useWasi: false });
}

/** The output of a call, in memory of its own. */
export async function callPlugin(plugin: Plugin, functionName: string, input: Uint8Array): Promise<Uint8Array> {
  const output = await plugin.call(functionName, input);
  return output === null ? new Uint8Array() : output.bytes().slice();
}

/** Creates a plugin, calls it once and closes it. */
export async function callFresh(modules: Modules, name: string, functionName: string, input: Uint8Array) {
  const plugin = await newPlugin(modules, name);
  try {
    return await callPlugin(plugin, functionName, input);
  } finally {
    await plugin.close();
  }
}

/** One plugin of each module, kept. Calls wait for one another: an instance runs one at a time. */
export class KeptPlugins {
  readonly #create: (name: string) => Promise<Plugin>;
  readonly #plugins = new Map<string, Promise<Plugin>>();
  readonly #turns = new Map<string, Promise<unknown>>();

  constructor(create: (name: string) => Promise<Plugin>) {
    this.#create = create;
  }

  call(name: string, functionName: string, input: Uint8Array): Promise<Uint8Array> {
    const call = async (): Promise<Uint8Array> => callPlugin(await this.#plugin(name), functionName, input);
    const turn = (this.#turns.get(name) ?? Promise.resolve()).then(call, call);
    this.#turns.set(name, turn);
    return turn;
  }

  #plugin(name: string): Promise<Plugin> {
    let plugin = this.#plugins.get(name);
    if (plugin === undefined) {
      plugin = this.#create(name);
      this.#plugins.set(name, plugin);
    }
    return plugin;
  }
}
