/**
 * The form of a file that keeps what analysis made of one module: a head that
 * names the module, facts as JSON, maps of positions, the module that runs, and a
 * checksum over all of it. Form only.
 */

import { type Digest, isDigest } from '../base/digest.ts';
import type { ModuleAnalysis } from '../sandbox/compiler.ts';
import { noFunctionNames } from '../wasm/names.ts';

/** An analysis that found nothing against the module. */
export type SoundAnalysis = ModuleAnalysis & Required<Pick<ModuleAnalysis, 'info' | 'composed'>>;

/** Begins every file. Files of another form are another release's. */
const magic = Buffer.from('caisson-rewritten-1\n');
const digestBytes = 'sha256:'.length + 64;
const keyBytes = 64;
/** Bytes of the part of a file that tells whose it is. */
export const rewrittenHeadBytes = magic.length + digestBytes;
/** A file ends with the SHA-256 of all before it. */
export const rewrittenChecksumBytes = 32;
/** Facts that take more are not kept: a module can have names by the megabyte. */
export const rewrittenFactsBytesMax = 4 * 1_048_576;

type Composed = SoundAnalysis['composed'];
type OffsetMap = Composed['offsets']['merged'];

/** What stands in the file as JSON; arrays are kept apart. */
interface Facts {
  readonly info: Omit<SoundAnalysis['info'], 'functionNames'>;
  readonly clamped: ModuleAnalysis['clamped'];
  readonly lifecycle: Composed['lifecycle'];
  readonly memories: Composed['memories'];
  readonly imports: Composed['imports'];
  readonly firstFunction: number;
  readonly merged: MapFacts;
  readonly metered: MapFacts;
  readonly moduleBytes: number;
}

interface MapFacts extends Pick<OffsetMap, 'importedFunctions' | 'definedFunctions' | 'newEnd'> {
  readonly bodies: number;
  readonly changesBytes: number;
}

/** The parts of a file but for its checksum; undefined if it would hold more facts than are kept. Function names are left out. */
export function encodeRewritten(
  named: { readonly digest: Digest; readonly key: string },
  analysis: SoundAnalysis,
): readonly Uint8Array[] | undefined {
  const { merged, metered } = analysis.composed.offsets;
  const facts = Buffer.from(JSON.stringify(factsOf(analysis)));
  if (facts.length > rewrittenFactsBytesMax) return undefined;
  const length = Buffer.alloc(Uint32Array.BYTES_PER_ELEMENT);
  length.writeUInt32LE(facts.length);
  const head = Buffer.concat([magic, Buffer.from(named.digest), Buffer.from(named.key), length]);
  return [head, facts, ...arraysOf(merged), ...arraysOf(metered), analysis.composed.bytes];
}

/** The digest that the head of a file names; undefined if the file is none of this form. */
export function digestInHead(head: Uint8Array): Digest | undefined {
  if (!magic.equals(head.subarray(0, magic.length))) return undefined;
  const digest = textOf(head.subarray(magic.length, rewrittenHeadBytes));
  return isDigest(digest) ? digest : undefined;
}

/** Reads a file whose checksum was found to be right and has been cut off; undefined if it is not the one named. */
export function decodeRewritten(
  named: { readonly digest: Digest; readonly key: string },
  file: Uint8Array,
): SoundAnalysis | undefined {
  const key = textOf(file.subarray(rewrittenHeadBytes, rewrittenHeadBytes + keyBytes));
  if (digestInHead(file) !== named.digest || key !== named.key) return undefined;
  const cursor = new Cursor(file, rewrittenHeadBytes + keyBytes);
  const facts = JSON.parse(textOf(cursor.take(cursor.u32()))) as Facts;
  const offsets = {
    firstFunction: facts.firstFunction,
    merged: cursor.map(facts.merged),
    metered: cursor.map(facts.metered),
  };
  const bytes = cursor.take(facts.moduleBytes);
  const { info, clamped, lifecycle, memories, imports } = facts;
  return {
    problems: [],
    info: { ...info, functionNames: noFunctionNames },
    rewrittenBytes: bytes.length,
    ...(clamped && { clamped }),
    composed: { bytes, lifecycle, memories, imports, offsets },
  };
}

function factsOf({ info, clamped, composed }: SoundAnalysis): Facts {
  const { functionNames: _names, ...rest } = info;
  const { lifecycle, memories, imports, offsets } = composed;
  const { firstFunction, merged, metered } = offsets;
  return {
    info: rest,
    clamped,
    lifecycle,
    memories,
    imports,
    firstFunction,
    merged: mapFactsOf(merged),
    metered: mapFactsOf(metered),
    moduleBytes: composed.bytes.length,
  };
}

function mapFactsOf({ importedFunctions, definedFunctions, newEnd, newStarts, changes }: OffsetMap): MapFacts {
  return { importedFunctions, definedFunctions, newEnd, bodies: newStarts.length, changesBytes: changes.length };
}

/** In the order in which Cursor.map takes them. */
function arraysOf({ newStarts, originalStarts, firstChanges, changes }: OffsetMap): readonly Uint8Array[] {
  const words = [newStarts, originalStarts, firstChanges];
  return [...words.map((array) => new Uint8Array(array.buffer, array.byteOffset, array.byteLength)), changes];
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString();
}

/** Takes one part after the other, each with a buffer of its own. */
class Cursor {
  readonly #file: Uint8Array;
  #at: number;

  constructor(file: Uint8Array, at: number) {
    this.#file = file;
    this.#at = at;
  }

  take(length: number): Uint8Array<ArrayBuffer> {
    const taken = this.#file.slice(this.#at, this.#at + length);
    this.#at += length;
    return taken as Uint8Array<ArrayBuffer>;
  }

  u32(): number {
    return this.#words(1)[0] as number;
  }

  map({ importedFunctions, definedFunctions, newEnd, bodies, changesBytes }: MapFacts): OffsetMap {
    const [newStarts, originalStarts, firstChanges] = [this.#words(bodies), this.#words(bodies), this.#words(bodies)];
    const changes = this.take(changesBytes);
    return { importedFunctions, definedFunctions, newEnd, newStarts, originalStarts, firstChanges, changes };
  }

  #words(count: number): Uint32Array<ArrayBuffer> {
    return new Uint32Array(this.take(count * Uint32Array.BYTES_PER_ELEMENT).buffer);
  }
}
