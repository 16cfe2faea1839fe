import { expect, test } from 'vitest';
import { generatedModule, markedModule } from '../../../bench/guests/generated.ts';

async function run(module: Uint8Array<ArrayBuffer>): Promise<unknown> {
  const instance = await WebAssembly.instantiate(await WebAssembly.compile(module));
  return (instance.exports['run'] as () => number)();
}

test.each([100, 10_000, 1_000_000])('A generated module of %i bytes is about as large and runs', async (bytes) => {
  const module = generatedModule(bytes, 7);
  expect(module.length).toBeGreaterThanOrEqual(bytes);
  expect(module.length).toBeLessThan(bytes * 1.1 + 1_000);
  expect(await run(module)).toBe(0);
});

test('Generated modules are the same for the same seed and differ for another', () => {
  expect(generatedModule(10_000, 1)).toEqual(generatedModule(10_000, 1));
  expect(generatedModule(10_000, 1)).not.toEqual(generatedModule(10_000, 2));
});

test('A marked module is another one, and valid', () => {
  const module = generatedModule(100, 1);
  const marked = new Uint8Array(markedModule(module, 300));
  expect(WebAssembly.validate(marked)).toBe(true);
  expect(marked).not.toEqual(new Uint8Array(markedModule(module, 301)));
});
