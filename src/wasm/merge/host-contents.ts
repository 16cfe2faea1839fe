/**
 * What the host module adds to each section of the merged module, with indices
 * as they are there. Of its functions only those that are needed are added, of
 * all else everything.
 */

import type { SectionName } from '../layout.ts';
import type { Appended } from '../metering/meter.ts';
import { ByteReader } from '../reader.ts';
import { readTables } from '../sections.ts';
import { createContext, externKinds, readMutability, readReferenceType, readValueType } from '../types.ts';
import { ByteWriter } from '../writer.ts';
import { HostCopier, type IndexSpace, type Moved } from './host-copier.ts';
import type { HostModule } from './host-module.ts';
import type { FunctionPlaces } from './places.ts';

/** How many of each the guest has; what the host module has comes behind them. */
export type GuestCounts = Readonly<Record<Exclude<IndexSpace, 'function'>, number>>;

/** Sections to which the host module adds; exports and memories are the merger's. */
export type SharedSection = Exclude<SectionName, 'custom' | 'export' | 'start' | 'tag' | 'dataCount' | 'memory'>;

const functionKind = externKinds.indexOf('function');
const segmentForms = { passive: 1, explicit: 2, expressions: 4 } as const;
const dataForms = { passive: 1, explicit: 2 } as const;
const functionElements = 0x00;
const funcref = 0x70;

/** Writes what the host module adds to sections, each time anew. */
export class HostContents {
  readonly #host: HostModule;
  readonly #places: FunctionPlaces;
  readonly #counts: GuestCounts;
  readonly #copier: HostCopier;

  constructor(host: HostModule, places: FunctionPlaces, counts: GuestCounts) {
    this.#host = host;
    this.#places = places;
    this.#counts = counts;
    this.#copier = new HostCopier(host.bytes, this.moved);
  }

  /** The index in the merged module of something of the host module. */
  readonly moved: Moved = (space, index) =>
    space === 'function' ? this.#places.hostMove(index) : this.#counts[space] + index;

  of(name: SharedSection): Appended {
    switch (name) {
      case 'type':
        return this.#entries(name, (reader, to) => to.copy(reader.bytes, reader.offset, (reader.offset = reader.end)));
      case 'import':
        return listed(this.#places.hostImports, (index, to) => this.#writeImport(index, to));
      case 'function':
        return listed(this.#places.hostDefined, (index, to) => to.unsigned(this.#typeOf(index)));
      case 'table':
        return this.#tables();
      case 'global':
        return this.#entries(name, (reader, to) => this.#writeGlobal(reader, to));
      case 'element':
        return this.#entries(name, (reader, to) => this.#writeElements(reader, to));
      case 'code':
        return listed(this.#places.hostDefined, (index, to) => this.#writeBody(index, to));
      case 'data':
        return this.#entries(name, (reader, to) => this.#writeData(reader, to));
    }
  }

  /** A section's entries, one after the other as `write` reads them. */
  #entries(name: SharedSection, write: (reader: ByteReader, to: ByteWriter) => unknown): Appended {
    const to = new ByteWriter();
    const readAll = (reader: ByteReader): number => {
      const count = reader.u32();
      while (reader.left > 0) write(reader, to);
      return count;
    };
    return { count: this.#host.read(name, readAll) ?? 0, bytes: to.finish() };
  }

  #typeOf(index: number): number {
    return this.moved('type', this.#host.typeIndexOf(index));
  }

  #writeImport(index: number, to: ByteWriter): void {
    const entry = this.#host.imports[index];
    if (entry !== undefined) to.name(entry.module).name(entry.name).byte(functionKind).unsigned(this.#typeOf(index));
  }

  #tables(): Appended {
    const { bytes } = this.#host;
    const tables = this.#host.read('table', (reader) => readTables(reader, createContext())) ?? [];
    return listed(tables, ({ start, end, limits }, to) => {
      to.copy(bytes, start, limits.end);
      const rest = new ByteReader(bytes, { start: limits.end, end }, 'table');
      if (rest.left > 0) this.#copier.copyExpression(rest, to);
    });
  }

  #writeGlobal(reader: ByteReader, to: ByteWriter): void {
    const start = reader.offset;
    readValueType(reader, createContext());
    readMutability(reader);
    to.copy(reader.bytes, start, reader.offset);
    this.#copier.copyExpression(reader, to);
  }

  /** A segment for another table than the first names its table, and then the type of its elements. */
  #writeElements(reader: ByteReader, to: ByteWriter): void {
    const flags = reader.u32();
    const isPassive = (flags & segmentForms.passive) !== 0;
    const isExplicit = (flags & segmentForms.explicit) !== 0;
    const isExpressions = (flags & segmentForms.expressions) !== 0;
    if (isPassive) to.unsigned(flags);
    else {
      to.unsigned(flags | segmentForms.explicit).unsigned(this.moved('table', isExplicit ? reader.u32() : 0));
      this.#copier.copyExpression(reader, to);
    }
    if (isPassive || isExplicit) copyElementType(reader, isExpressions, to);
    else to.byte(isExpressions ? funcref : functionElements);
    const count = reader.u32();
    to.unsigned(count);
    for (let left = count; left > 0; left--) {
      if (isExpressions) this.#copier.copyExpression(reader, to);
      else to.unsigned(this.moved('function', reader.u32()));
    }
  }

  #writeBody(index: number, to: ByteWriter): void {
    const body = this.#host.bodies[index - this.#host.imports.length];
    if (body === undefined) return;
    const content = new ByteWriter().copy(this.#host.bytes, body.start, body.codeStart);
    this.#copier.copyCode(body.codeStart, body.end, content);
    to.sized(content.finish());
  }

  #writeData(reader: ByteReader, to: ByteWriter): void {
    const form = reader.u32();
    if (form === dataForms.passive) to.unsigned(form);
    else {
      to.unsigned(dataForms.explicit).unsigned(this.moved('memory', form === dataForms.explicit ? reader.u32() : 0));
      this.#copier.copyExpression(reader, to);
    }
    const length = reader.u32();
    to.unsigned(length).copy(reader.bytes, reader.offset, reader.offset + length);
    reader.skip(length);
  }
}

function listed<T>(items: readonly T[], write: (item: T, to: ByteWriter) => void): Appended {
  const to = new ByteWriter();
  for (const item of items) write(item, to);
  return { count: items.length, bytes: to.finish() };
}

function copyElementType(reader: ByteReader, isReference: boolean, to: ByteWriter): void {
  const start = reader.offset;
  if (isReference) readReferenceType(reader, createContext());
  else reader.skip(1);
  to.copy(reader.bytes, start, reader.offset);
}
