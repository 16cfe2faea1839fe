import { describe, expect, it } from 'vitest';
import { moduleHeader, readLayout, sectionsMax } from '../../../src/wasm/layout.ts';
import { bytesOf, moduleOf, problemOf, section } from './bytes.ts';

describe('readLayout', () => {
  it('finds every section, with the names of custom ones', () => {
    const module = moduleOf(section('custom', 'first', 1, 2), section('type', 0), section('custom', 'first'));
    expect(readLayout(module)).toEqual([
      { name: 'custom', customName: 'first', start: 8, contentStart: 16, end: 18 },
      { name: 'type', customName: '', start: 18, contentStart: 20, end: 21 },
      { name: 'custom', customName: 'first', start: 21, contentStart: 29, end: 29 },
    ]);
  });

  it.each([
    ['nothing', []],
    ['other bytes', [0x7f, 0x45, 0x4c, 0x46, 1, 1, 1, 0, 0]],
    ['text', [...new TextEncoder().encode('(module)')]],
    ['another version', [0x00, 0x61, 0x73, 0x6d, 0x02, 0x00, 0x00, 0x00]],
    ['another version, cut off', [0x00, 0x61, 0x73, 0x6d, 0x02]],
  ])('refuses %s as not WebAssembly', (_, bytes) => {
    expect(problemOf(() => readLayout(Uint8Array.from(bytes))).reason).toBe('WASM_NOT_WASM');
  });

  it('tells a component from a module', () => {
    const component = bytesOf([0x00, 0x61, 0x73, 0x6d, 0x0d, 0x00, 0x01, 0x00], 1, 2, 3);
    expect(problemOf(() => readLayout(component))).toEqual({
      reason: 'WASM_COMPONENT',
      location: 'module+0x4',
      message: 'The bytes are a WebAssembly component, not a core module',
    });
  });

  it.each([1, 3, 4, 7])('calls a header of %i bytes cut off', (length) => {
    const problem = problemOf(() => readLayout(Uint8Array.from(moduleHeader.slice(0, length))));
    expect(problem).toMatchObject({ reason: 'WASM_TRUNCATED', location: `module+0x${length}` });
  });

  it.each([
    ['its size', [1]],
    ['the middle of its size', [1, 0x80, 0x80]],
    ['its content', [1, 2, 0]],
  ])('calls a module cut off that ends before %s of a section', (_, bytes) => {
    expect(problemOf(() => readLayout(bytesOf(moduleHeader, bytes))).reason).toBe('WASM_TRUNCATED');
  });

  it('says how many bytes are missing', () => {
    const problem = problemOf(() => readLayout(bytesOf(moduleHeader, 10, 100, 1, 2)));
    expect(problem.message).toBe('The module ends 98 bytes before the end of its code section');
  });

  it.each([
    ['repeated', [section('type', 0), section('type', 0)]],
    ['out of order', [section('import', 0), section('type', 0)]],
    ['out of order', [section('global', 0), section('tag', 0)]],
    ['out of order', [section('code', 0), section('dataCount', 0)]],
  ])('refuses sections that are %s', (_, sections) => {
    const problem = problemOf(() => readLayout(moduleOf(...sections)));
    expect(problem.reason).toBe('WASM_INVALID');
    expect(problem.message).toContain('repeated or out of order');
  });

  it('refuses an unknown section', () => {
    expect(problemOf(() => readLayout(bytesOf(moduleHeader, 14, 0)))).toMatchObject({
      reason: 'WASM_INVALID',
      message: 'Unknown section 14',
    });
  });

  it('refuses a custom section without a whole name', () => {
    expect(problemOf(() => readLayout(bytesOf(moduleHeader, 0, 2, 5, 0x61, 1, 0))).reason).toBe('WASM_INVALID');
  });

  it('accepts as many sections as it may and not one more', () => {
    const many = (count: number): Uint8Array =>
      bytesOf(
        moduleHeader,
        Array.from({ length: count }, () => [0, 1, 0]),
      );
    expect(readLayout(many(sectionsMax))).toHaveLength(sectionsMax);
    expect(problemOf(() => readLayout(many(sectionsMax + 1))).reason).toBe('WASM_OVER_LIMIT');
  });
});
