/**
 * Makes instances: the one place that loads a module. It does so without Extism's
 * createPlugin, to which nothing is left to do once kernel and guest are one
 * module: that took 8 us more for a small guest, and 100 us more (a third) for one
 * of 1.3 MB, because it binds every host function anew for every instance; and it
 * takes WASI's functions from nobody but node:wasi.
 */

import type { LinkedModules } from '../../capabilities/host-functions.ts';
import { memoryModule } from '../kernel/kernel.ts';
import type { CompiledPlugin } from '../protocol.ts';

/** Without prototypes, so that no guest imports what every object has. */
const sealed = new WeakMap<LinkedModules, WebAssembly.Imports>();

/**
 * The exports, without a prototype, of a fresh instance in which nothing of the
 * guest has run. `memories` are those that the module imports, in order. Throws what
 * V8 throws: a trap if segments do not fit, a LinkError if something is lacking.
 */
export function instantiate(
  { module }: Pick<CompiledPlugin, 'module'>,
  functions: LinkedModules,
  memories: readonly WebAssembly.Memory[],
): WebAssembly.Exports {
  const imports = Object.assign(Object.create(null) as WebAssembly.Imports, sealed.get(functions) ?? seal(functions));
  imports[memoryModule] = memories as unknown as WebAssembly.Imports[string];
  return new WebAssembly.Instance(module, imports).exports;
}

/** Made once for all instances: V8 keeps what it generates for a function as long as it is the same function. */
function seal(functions: LinkedModules): WebAssembly.Imports {
  const modules = Object.entries(functions).map(([name, members]) => [name, withoutPrototype(members)] as const);
  const imports = withoutPrototype(Object.fromEntries(modules)) as WebAssembly.Imports;
  sealed.set(functions, imports);
  return imports;
}

function withoutPrototype<T extends object>(members: T): T {
  return Object.freeze(Object.assign(Object.create(null) as T, members));
}
