import { describe, expect, test } from 'vitest';
import type { ModuleDescription } from '../../../src/model/module-description.ts';
import { type DescribeOptions, describedMax, describeModule } from '../../../src/wasm/describe.ts';
import { inspectModule } from '../../../src/wasm/inspect.ts';
import { rewriteModule } from '../../../src/wasm/rewrite.ts';
import { wat, watWithNames } from '../../helpers/wat.ts';
import { body, moduleOf, moduleWithBody, section } from './bytes.ts';
import { fixture, fixtures } from './fixtures.ts';

const mebi = 1_048_576;

function described(bytes: Uint8Array<ArrayBuffer>, options: Partial<DescribeOptions> = {}): ModuleDescription {
  return describeModule(bytes, inspectModule(bytes), {
    memoryBytesMax: 64 * mebi,
    metering: {},
    functionsMax: 100,
    providerOf: () => ({ capability: undefined, provided: false }),
    ...options,
  });
}

describe('describeModule', () => {
  test.each(Object.keys(fixtures))('describes %s in plain data', (name) => {
    const bytes = fixture(name);
    const description = described(bytes);
    expect(structuredClone(description)).toEqual(description);
    expect(description).toMatchObject({ bytes: bytes.length, features: inspectModule(bytes).features });
  });

  test('lists sections that leave no byte of the module out', () => {
    const { sections, bytes } = described(fixture('everyday'));
    const ends = sections.map((entry) => entry.offset + entry.bytes);
    expect(sections.map((entry) => entry.offset)).toEqual([8, ...ends.slice(0, -1)]);
    expect(ends.at(-1)).toBe(bytes);
    expect(sections.at(-1)).toMatchObject({ name: 'custom', customName: 'name' });
    expect(sections[0]).not.toHaveProperty('customName');
  });

  test('asks who provides an import', () => {
    const { imports, counts } = described(fixture('everyday'), {
      providerOf: ({ name }) => ({ capability: name === 'log' ? 'log' : undefined, provided: true }),
    });
    expect(imports.slice(0, 2)).toEqual([
      {
        module: 'env',
        name: 'log',
        kind: 'function',
        type: '(func (param i32 i64) (result f32 f64))',
        capability: 'log',
        provided: true,
      },
      { module: 'env', name: 'memory', kind: 'memory', type: '(memory 1 4)', capability: undefined, provided: true },
    ]);
    expect(counts).toMatchObject({ imports: 5, importedFunctions: 1, functions: 6, tables: 2, memories: 1 });
  });

  test('lists exports with the indices of the original', () => {
    const { exports } = described(fixture('everyday'));
    expect(exports[1]).toEqual({
      name: 'twice',
      kind: 'function',
      index: 1,
      type: '(func (param i32) (result i32))',
    });
  });

  test('sets declared and clamped maxima beside each other', () => {
    const { memories, tables } = described(fixture('memories'), { memoryBytesMax: 4 * mebi });
    const { memories: clamped } = rewriteModule(fixture('memories'), inspectModule(fixture('memories')), {
      memoryBytesMax: 4 * mebi,
    });
    expect(memories).toEqual([
      { type: '(memory 1 3)', imported: true, minPages: 1, maxPages: 3, clampedPages: 3 },
      { type: '(memory i64 1)', imported: true, minPages: 1, clampedPages: clamped[1]?.clampedPages },
      { type: '(memory 2)', imported: false, minPages: 2, clampedPages: clamped[2]?.clampedPages },
    ]);
    expect(memories.reduce((sum, { clampedPages = 0 }) => sum + clampedPages, 0)).toBeLessThanOrEqual(64);
    expect(tables[2]).toEqual({
      type: '(table 4 4 funcref)',
      imported: false,
      elementType: 'funcref',
      minElements: 4,
      maxElements: 4,
      clampedElements: 4,
    });
  });

  test('tells the sizes before and after rewriting with metering', () => {
    const bytes = fixture('everyday');
    const info = inspectModule(bytes);
    const rewritten = rewriteModule(bytes, info, { memoryBytesMax: 64 * mebi, metering: {} }).bytes;
    expect(described(bytes)).toMatchObject({
      codeBytes: info.sizes.codeBytes,
      rewritten: {
        bytes: rewritten.length,
        ratio: rewritten.length / bytes.length,
        codeBytes: inspectModule(rewritten).sizes.codeBytes,
        codeRatio: inspectModule(rewritten).sizes.codeBytes / info.sizes.codeBytes,
      },
    });
  });

  test('has ratios for a module without code', () => {
    expect(described(fixture('empty')).rewritten).toMatchObject({ codeRatio: 1, ratio: expect.any(Number) });
    expect(described(fixture('empty')).functions).toEqual([]);
  });
});

describe('functions in a description', () => {
  const functions = watWithNames(`(module
    (import "env" "f" (func (param i32)))
    (func $nothing)
    (func $divides (result i32) (i32.div_s (i32.const 1) (i32.const 2)))
    (func (result i32) (i32.const 1))
    (func $twin (result i32) (i32.const 1))
    (func $spins (loop (br 0))))`);

  test('come by static cost, then by index, and have their names or their indices', () => {
    const list = described(functions).functions;
    expect(list.map(({ name, index, cost }) => [name, index, cost])).toEqual([
      ['divides', 2, 10],
      ['func[3]', 3, 1],
      ['twin', 4, 1],
      ['spins', 5, 1],
      ['nothing', 1, 0],
    ]);
  });

  test('have the sizes of their bodies before and after', () => {
    const list = described(functions).functions;
    expect(list.map(({ bodyBytes }) => bodyBytes)).toEqual([7, 4, 4, 7, 2]);
    // What cannot loop is paid by its callers and stays as it is.
    expect(list.map(({ rewrittenBodyBytes }) => rewrittenBodyBytes)).toEqual([7, 4, 4, expect.any(Number), 2]);
    expect(list[3]?.rewrittenBodyBytes).toBeGreaterThan(7);
  });

  test('are no more than wanted, and all are counted', () => {
    const description = described(functions, { functionsMax: 1 });
    expect(description.functions.map(({ name }) => name)).toEqual(['divides']);
    expect(description.counts.functions).toBe(5);
    expect(described(functions, { functionsMax: 0 }).functions).toEqual([]);
  });

  test('cost what their calls of imports are said to cost', () => {
    const bytes = wat('(module (import "env" "f" (func)) (func (call 0)))');
    const cost = (units: number) =>
      described(bytes, { metering: { importPrices: [{ module: 'env', name: 'f', units }] } }).functions[0]?.cost ?? 0;
    expect(cost(1_000) - cost(0)).toBe(1_000);
  });
});

describe('describeModule on modules that cannot be rewritten', () => {
  test('says why, and lists the largest functions first', () => {
    const bytes = wat('(module (memory 20) (func) (func (drop (i32.const 1))))');
    const description = described(bytes, { memoryBytesMax: mebi });
    expect(description.refusal).toMatchObject({ reason: 'MEMORY_OVER_LIMIT', location: 'memory 0' });
    expect(description).not.toHaveProperty('rewritten');
    expect(description.memories).toEqual([{ type: '(memory 20)', imported: false, minPages: 20 }]);
    expect(description.functions).toEqual([
      { name: 'func[1]', index: 1, bodyBytes: 5 },
      { name: 'func[0]', index: 0, bodyBytes: 2 },
    ]);
  });

  test('does not rewrite code that V8 refuses', () => {
    const addsNothing = moduleWithBody(0x6a);
    const description = described(addsNothing);
    expect(description).not.toHaveProperty('rewritten');
    expect(description).not.toHaveProperty('refusal');
    expect(description.functions).toEqual([{ name: 'func[0]', index: 0, bodyBytes: 3 }]);
  });
});

describe('describeModule on hostile modules', () => {
  test('makes names and types fit to be printed', () => {
    const name = `\u001b[31m${'x'.repeat(1_000)}`;
    const bytes = moduleOf(
      section('custom', `\u0007${'y'.repeat(1_000)}`),
      section('type', 1, [0x60, [0xe8, 0x07], Array.from({ length: 1_000 }, () => 0x7f), 0]),
      section('import', 1, name, name, 0, 0),
      section('export', 1, name, 0, 0),
    );
    const { sections, imports, exports } = described(bytes);
    const texts = [sections[0]?.customName, imports[0]?.module, imports[0]?.name, imports[0]?.type, exports[0]?.name];
    for (const text of texts) {
      expect(text).toMatch(/^[^\p{Cc}]{100,300}$/u);
    }
    expect(exports[0]?.name).toMatch(/^\\u001b\[31mx+…$/);
  });

  test('makes names of functions fit to be printed', () => {
    const bytes = moduleOf(
      section('type', 1, [0x60, 0, 0]),
      section('function', 1, 0),
      section('code', 1, body(0x01)),
      section('custom', 'name', [1, 12, 1, 0, 'evil\n\u009b2J']),
    );
    expect(described(bytes).functions[0]?.name).toBe('evil\\u000a\\u009b2J');
  });

  test('cuts lists and counts on', () => {
    const sections = Array.from({ length: describedMax + 7 }, () => section('custom', 'filler'));
    const description = described(moduleOf(...sections));
    expect(description.sections).toHaveLength(describedMax);
    expect(description.counts.sections).toBe(describedMax + 7);
  });
});
