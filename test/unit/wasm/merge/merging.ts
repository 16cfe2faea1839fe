/** Merging for tests: modules in text form, everything exported that can be. */

import { inspectModule } from '../../../../src/wasm/inspect.ts';
import { type MergedModule, type MergeOptions, mergeModules } from '../../../../src/wasm/merge/merge.ts';
import { memoryModule, withMemories } from '../../../helpers/memories.ts';
import { wat, watWithNames } from '../../../helpers/wat.ts';

export type Text = string | Uint8Array;

export interface MergingOptions extends Partial<Pick<MergeOptions, 'importable' | 'hostExports'>> {
  readonly names?: boolean;
}

/** Merges under the module name "host"; the guest keeps all its exports and may import all that the host exports. */
export function merge(guest: Text, host: Text, options: MergingOptions = {}): MergedModule {
  const assemble = options.names === true ? watWithNames : wat;
  const bytesOf = (text: Text): Uint8Array => (typeof text === 'string' ? assemble(text) : text);
  const [guestBytes, hostBytes] = [bytesOf(guest), bytesOf(host)];
  return mergeModules(guestBytes, hostBytes, {
    moduleName: 'host',
    memoryModule,
    importable: options.importable ?? new Set(inspectModule(hostBytes).exports.map(({ name }) => name)),
    guestExports: inspectModule(guestBytes).exports,
    hostExports: options.hostExports ?? [],
  });
}

export type Exports = Readonly<Record<string, (...values: unknown[]) => unknown>>;

export function instantiate(
  merged: Pick<MergedModule, 'bytes' | 'memories'>,
  imports: WebAssembly.Imports = {},
): Exports {
  return new WebAssembly.Instance(new WebAssembly.Module(merged.bytes), withMemories(merged.memories, imports))
    .exports as unknown as Exports;
}

export function memoryOf(exports: Exports, name: string): Uint8Array {
  return new Uint8Array((exports[name] as unknown as WebAssembly.Memory).buffer);
}
