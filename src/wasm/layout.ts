/** The outermost form of a module: its header and where its sections lie. It does not look into them. */

import { ByteReader } from './reader.ts';

export const sectionIds = {
  custom: 0,
  type: 1,
  import: 2,
  function: 3,
  table: 4,
  memory: 5,
  global: 6,
  export: 7,
  start: 8,
  element: 9,
  code: 10,
  data: 11,
  dataCount: 12,
  tag: 13,
} as const;

export type SectionName = keyof typeof sectionIds;

/** Sections other than custom ones in the order that a module must keep. */
export const sectionOrder: readonly SectionName[] = [
  'type',
  'import',
  'function',
  'table',
  'memory',
  'tag',
  'global',
  'export',
  'start',
  'element',
  'dataCount',
  'code',
  'data',
];

const sectionNames = new Map<number, SectionName>(
  Object.entries(sectionIds).map(([name, id]) => [id, name as SectionName]),
);

/** Place of a section in the order; custom sections have none (-1). */
export function sectionRank(name: SectionName): number {
  return sectionOrder.indexOf(name);
}

export interface Section {
  readonly name: SectionName;
  /** Name of a custom section, else empty. */
  readonly customName: string;
  /** Where the section begins, at its id. */
  readonly start: number;
  /** Where its content begins; that of a custom section begins after its name. */
  readonly contentStart: number;
  readonly end: number;
}

/** More sections than this are refused; only custom sections can be so many. */
export const sectionsMax = 10_000;

/** First bytes of every module: magic and version. */
export const moduleHeader: readonly number[] = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];
const magicLength = 4;
const layerOffset = 6;

/** The sections of a module in their order. */
export function readLayout(bytes: Uint8Array): readonly Section[] {
  const reader = new ByteReader(bytes, { start: 0, end: bytes.length }, 'module');
  checkHeader(reader);
  const sections: Section[] = [];
  let rankLast = -1;
  while (reader.left > 0) {
    const section = readSection(reader);
    const rank = sectionRank(section.name);
    if (rank >= 0 && rank <= rankLast) {
      reader.fail(`The ${section.name} section is repeated or out of order`, section.start);
    }
    rankLast = Math.max(rank, rankLast);
    if (sections.length === sectionsMax) failSections(reader, section.start);
    sections.push(section);
  }
  return sections;
}

function failSections(reader: ByteReader, offset: number): never {
  return reader.fail(`The module has more than ${sectionsMax} sections`, offset, 'WASM_OVER_LIMIT');
}

function checkHeader(reader: ByteReader): void {
  const { bytes } = reader;
  const matching = moduleHeader.findIndex((byte, place) => bytes[place] !== byte);
  if (matching === -1) {
    reader.skip(moduleHeader.length);
    return;
  }
  if (bytes.length > 0 && matching >= bytes.length) {
    reader.fail('The module ends within its header', bytes.length, 'WASM_TRUNCATED');
  }
  if (matching < magicLength) reader.fail('The bytes are not a WebAssembly module', 0, 'WASM_NOT_WASM');
  if (bytes.length >= moduleHeader.length && bytes[layerOffset] === 1) {
    reader.fail('The bytes are a WebAssembly component, not a core module', magicLength, 'WASM_COMPONENT');
  }
  reader.fail('The version of the binary format is not 1', magicLength, 'WASM_NOT_WASM');
}

function readSection(reader: ByteReader): Section {
  const start = reader.offset;
  const id = reader.u8();
  const name = sectionNames.get(id);
  if (name === undefined) return reader.fail(`Unknown section ${id}`, start);
  const size = sectionSize(reader);
  const end = reader.offset + size;
  if (end > reader.end) {
    const missing = end - reader.end;
    reader.fail(`The module ends ${missing} bytes before the end of its ${name} section`, start, 'WASM_TRUNCATED');
  }
  const content = new ByteReader(reader.bytes, { start: reader.offset, end }, `${name} section`);
  const customName = name === 'custom' ? content.name() : '';
  reader.offset = end;
  return { name, customName, start, contentStart: content.offset, end };
}

const sizeBytesMax = 5;

/** The size of a section. Bytes that run out here mean a module that was cut off. */
function sectionSize(reader: ByteReader): number {
  const rest = reader.bytes.subarray(reader.offset, reader.offset + sizeBytesMax);
  if (rest.length < sizeBytesMax && rest.every((byte) => byte >= 0x80)) {
    reader.fail('The module ends within the head of a section', reader.end, 'WASM_TRUNCATED');
  }
  return reader.u32();
}

/** A reader of the content of a section. */
export function openSection(bytes: Uint8Array, section: Section): ByteReader {
  return new ByteReader(bytes, { start: section.contentStart, end: section.end }, `${section.name} section`);
}
