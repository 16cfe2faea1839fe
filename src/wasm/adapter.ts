/**
 * Builds the module named "main": it imports what the host needs from the guest
 * and from the kernel and exports it again under given names. It holds no code,
 * so that a call passes through it at no cost.
 */

import { assert } from '../base/assert.ts';
import { kernelModule } from '../model/capability.ts';
import { moduleHeader, sectionIds } from './layout.ts';
import { type ExternType, externKinds, type FunctionType, limitsFlags, type ValueType } from './types.ts';
import { ByteWriter } from './writer.ts';

export interface AdapterExport {
  /** Name under which the guest or the kernel exports it. */
  readonly name: string;
  /** Name under which the adapter exports it, different from all others; default: the same. */
  readonly as?: string;
  /** A function or global of number types, or a memory of which only is64 and shared matter. */
  readonly type: ExternType;
}

export interface AdapterOptions {
  readonly guestExports: readonly AdapterExport[];
  readonly kernelExports: readonly AdapterExport[];
}

/** Name under which the guest is linked; the kernel is linked under kernelModule. */
export const guestModule = 'guest';

interface AdapterImport extends AdapterExport {
  readonly module: string;
}

export function buildAdapter(options: AdapterOptions): Uint8Array<ArrayBuffer> {
  const imports = [
    ...importsFrom(guestModule, options.guestExports),
    ...importsFrom(kernelModule, options.kernelExports),
  ];
  assert(new Set(imports.map(exportedName)).size === imports.length, 'exports of an adapter have different names');
  const types = functionTypesOf(imports);
  const writer = new ByteWriter().u8(...moduleHeader);
  writer.section(sectionIds.type, (content) => content.vector([...types.values()], writeFunctionType));
  writer.section(sectionIds.import, (content) =>
    content.vector(imports, (entry) => {
      content.name(entry.module).name(entry.name);
      writeDescription(content, entry.type, types);
    }),
  );
  writer.section(sectionIds.export, (content) => writeExports(content, imports));
  return writer.finish().slice();
}

function importsFrom(module: string, entries: readonly AdapterExport[]): readonly AdapterImport[] {
  return entries.map((entry) => ({ ...entry, module }));
}

function exportedName({ name, as }: AdapterExport): string {
  return as ?? name;
}

/** Each function type once, by its signature, in the order of its index. */
function functionTypesOf(imports: readonly AdapterImport[]): ReadonlyMap<string, FunctionType> {
  const types = new Map<string, FunctionType>();
  for (const { type } of imports) if (type.kind === 'function') types.set(signatureOf(type), type);
  return types;
}

function signatureOf(type: FunctionType): string {
  return `${type.parameters.join(' ')} -> ${type.results.join(' ')}`;
}

const functionTypeCode = 0x60;

function writeFunctionType(type: FunctionType, writer: ByteWriter): void {
  writer.u8(functionTypeCode);
  for (const types of [type.parameters, type.results]) {
    writer.vector(types, (valueType) => writer.u8(valueTypeCode(valueType)));
  }
}

const valueTypeCodes: Readonly<Record<string, number>> = { i32: 0x7f, i64: 0x7e, f32: 0x7d, f64: 0x7c };

function valueTypeCode(type: ValueType): number {
  const code = valueTypeCodes[type];
  if (code === undefined) throw new TypeError(`An adapter cannot hand on the type ${type}`);
  return code;
}

function writeDescription(writer: ByteWriter, type: ExternType, types: ReadonlyMap<string, FunctionType>): void {
  writer.u8(externKinds.indexOf(type.kind));
  if (type.kind === 'function') writer.unsigned([...types.keys()].indexOf(signatureOf(type)));
  else if (type.kind === 'global') writer.u8(valueTypeCode(type.valueType), type.mutable ? 1 : 0);
  else if (type.kind === 'memory') writer.u8(type.is64 ? limitsFlags.is64 : 0).unsigned(0);
  else throw new TypeError(`An adapter cannot hand on a ${type.kind}`);
}

function writeExports(writer: ByteWriter, imports: readonly AdapterImport[]): void {
  const counts = new Map<string, number>();
  writer.vector(imports, (entry) => {
    const { kind } = entry.type;
    const index = counts.get(kind) ?? 0;
    counts.set(kind, index + 1);
    writer.name(exportedName(entry)).u8(externKinds.indexOf(kind)).unsigned(index);
  });
}
