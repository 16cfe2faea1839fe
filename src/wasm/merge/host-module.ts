/**
 * The small module of the server's own that is merged into guests: its index
 * spaces, and which of its functions are needed for some of its exports. It is
 * trusted; what is in it that merging cannot do is a fault of ours, a TypeError.
 */

import { type FunctionBody, readBody } from '../code.ts';
import { InstructionReader } from '../instructions.ts';
import { openSection, readLayout, type Section, type SectionName } from '../layout.ts';
import { type FunctionNames, noFunctionNames, readFunctionNames } from '../names.ts';
import { opcodes } from '../opcodes.ts';
import { ByteReader } from '../reader.ts';
import {
  type ExportEntry,
  type ImportEntry,
  readElements,
  readExports,
  readFunctions,
  readGlobals,
  readImports,
  readMemories,
  readTables,
  readTypes,
} from '../sections.ts';
import { createContext, type DecodeContext, type FunctionType } from '../types.ts';

const callOpcodes: readonly number[] = [0x10, 0x12, opcodes.refFunc];
const unknownSections: readonly SectionName[] = ['start', 'tag'];

export class HostModule {
  readonly bytes: Uint8Array;
  readonly types: readonly FunctionType[];
  /** All of them functions. */
  readonly imports: readonly ImportEntry[];
  /** Type index of each defined function. */
  readonly functionTypes: Uint32Array;
  readonly exports: ReadonlyMap<string, ExportEntry>;
  readonly bodies: readonly FunctionBody[];
  readonly names: FunctionNames;
  readonly #sections: ReadonlyMap<SectionName, Section>;
  /** By defined function, the functions that it calls or refers to. */
  readonly #references: readonly (readonly number[])[];
  /** Functions that tables, globals and segments refer to. */
  readonly #rooted: readonly number[];

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    const layout = readLayout(bytes);
    this.#sections = new Map(layout.map((section) => [section.name, section]));
    for (const name of unknownSections) if (this.#sections.has(name)) fail(`has a section "${name}"`);
    const context = createContext();
    this.types = (this.read('type', (reader) => readTypes(reader, context)) ?? []).map((type) =>
      type.kind === 'function' && type.grouped !== true ? type : fail('has a type that is no plain function type'),
    );
    this.imports = this.read('import', (reader) => readImports(reader, context, this.types)) ?? [];
    if (this.imports.some(({ kind }) => kind !== 'function')) fail('imports something other than functions');
    this.functionTypes = this.read('function', (reader) => readFunctions(reader, this.types)) ?? new Uint32Array();
    this.exports = new Map((this.read('export', readExports) ?? []).map((entry) => [entry.name, entry]));
    this.bodies = this.read('code', (reader) => readBodies(reader, context)) ?? [];
    this.#references = this.bodies.map((body) => referencesOf(bytes, body, context));
    this.#rooted = this.#readRooted();
    const names = layout.find(({ customName }) => customName === 'name');
    this.names = names === undefined ? noFunctionNames : readFunctionNames(openSection(bytes, names));
    if (context.indexedReferences.size > 0) fail('has references to types of its own');
  }

  /** What `read` makes of a section; undefined if there is none. */
  read<T>(name: SectionName, read: (reader: ByteReader) => T): T | undefined {
    const section = this.#sections.get(name);
    return section === undefined ? undefined : read(openSection(this.bytes, section));
  }

  /** Index of the type of a function. */
  typeIndexOf(index: number): number {
    const { imports, functionTypes } = this;
    return imports[index]?.typeIndex ?? functionTypes[index - imports.length] ?? fail(`has no function ${index}`);
  }

  typeOf(index: number): FunctionType {
    return this.types[this.typeIndexOf(index)] ?? fail(`has no type for function ${index}`);
  }

  /** The functions that the given ones lead to, themselves included, ascending. */
  reachableFrom(indices: Iterable<number>): readonly number[] {
    const reached = new Set<number>();
    const pending = [...indices, ...this.#rooted];
    for (let index = pending.pop(); index !== undefined; index = pending.pop()) {
      if (reached.has(index)) continue;
      reached.add(index);
      pending.push(...(this.#references[index - this.imports.length] ?? []));
    }
    return [...reached].sort((a, b) => a - b);
  }

  #readRooted(): readonly number[] {
    const rooted: number[] = [];
    const context: DecodeContext = { ...createContext(), onFunctionReference: ({ index }) => rooted.push(index) };
    this.read('table', (reader) => readTables(reader, context));
    this.read('memory', (reader) => readMemories(reader, context));
    this.read('global', (reader) => readGlobals(reader, context));
    this.read('element', (reader) => readElements(reader, context));
    return rooted;
  }
}

function readBodies(section: ByteReader, context: DecodeContext): readonly FunctionBody[] {
  const bodies: FunctionBody[] = [];
  for (let left = section.u32(); left > 0; left--) bodies.push(readBody(section, context));
  return bodies;
}

function referencesOf(bytes: Uint8Array, body: FunctionBody, context: DecodeContext): readonly number[] {
  const reader = new ByteReader(bytes, { start: body.codeStart, end: body.end }, 'function body');
  const instructions = new InstructionReader(reader, context);
  const references = new Set<number>();
  while (instructions.next()) if (callOpcodes.includes(instructions.opcode)) references.add(instructions.index);
  return [...references];
}

function fail(what: string): never {
  throw new TypeError(`The host module ${what}: it cannot be merged`);
}
