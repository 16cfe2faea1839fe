/**
 * The one file that knows Extism. It links kernel, guest and adapter into one
 * instance; of all that Extism can do beside that, everything is off: WASI, HTTP,
 * paths, its limits, its threads.
 */

import { createPlugin, type ExtismPluginOptions } from '@extism/extism';
import type { LinkedFunction } from '../../capabilities/host-functions.ts';
import { kernelModule as kernelModuleName } from '../../model/capability.ts';

export interface LinkedModules {
  readonly kernel: WebAssembly.Module;
  readonly guest: WebAssembly.Module;
  readonly adapter: WebAssembly.Module;
}

export interface LinkedInstance {
  /** Has no prototype. */
  readonly exports: WebAssembly.Exports;
}

/** Host functions by module and name. */
export type LinkedFunctions = Readonly<Record<string, Readonly<Record<string, LinkedFunction>>>>;

/**
 * A fresh instance of the adapter, and so of all three. The exports stand inside
 * an object, because a guest may export a function "then", which a promise for
 * the exports themselves would call.
 */
export async function link(modules: LinkedModules, functions: LinkedFunctions): Promise<LinkedInstance> {
  const manifest = {
    wasm: [
      { module: modules.kernel, name: kernelModuleName },
      { module: modules.guest, name: 'guest' },
      { module: modules.adapter, name: 'main' },
    ],
  };
  const plugin = await createPlugin(manifest, optionsWith(functions));
  const { exports } = await plugin.getInstance();
  return { exports };
}

/**
 * Makes the lists of a module's imports and exports be made once per module.
 * Extism asks for the exports once for every import that it resolves: that is
 * most of the time an instance takes, and grows with the square of the exports.
 */
export function rememberModuleLists(): void {
  WebAssembly.Module.exports = remembered(WebAssembly.Module.exports);
  WebAssembly.Module.imports = remembered(WebAssembly.Module.imports);
}

function remembered<T>(listOf: (module: WebAssembly.Module) => T[]): (module: WebAssembly.Module) => T[] {
  const lists = new WeakMap<WebAssembly.Module, T[]>();
  return (module) => {
    const known = lists.get(module);
    if (known !== undefined) return known;
    const list = listOf(module);
    lists.set(module, list);
    return list;
  };
}

/** Extism writes into the options that it is given: they are made anew each time. */
function optionsWith(functions: LinkedFunctions): ExtismPluginOptions {
  return {
    useWasi: false,
    enableWasiOutput: false,
    runInWorker: false,
    // Reading the global fetch alone would load an HTTP client.
    fetch: refuseFetch,
    logger: silentConsole,
    config: Object.create(null),
    functions: withContext(functions),
  };
}

/** Extism hands every host function a context of its own first, which means nothing beside our kernel. */
function withContext(functions: LinkedFunctions): NonNullable<ExtismPluginOptions['functions']> {
  const modules: NonNullable<ExtismPluginOptions['functions']> = {};
  for (const [moduleName, members] of Object.entries(functions)) {
    const linked: (typeof modules)[string] = {};
    for (const [name, fn] of Object.entries(members)) {
      linked[name] = (_context: unknown, first: unknown, second: unknown, third: unknown) => fn(first, second, third);
    }
    modules[moduleName] = linked;
  }
  return modules;
}

function refuseFetch(): never {
  throw new Error('Guests make no requests');
}

const silence = (): void => {};
const silentConsole = {
  trace: silence,
  debug: silence,
  log: silence,
  info: silence,
  warn: silence,
  error: silence,
} as unknown as Console;
