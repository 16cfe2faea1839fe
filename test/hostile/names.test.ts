import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { compileText, guest } from '../helpers/sandbox.ts';
import { Arena } from './arena.ts';

let arena: Arena;
beforeAll(async () => {
  arena = await Arena.open();
});
afterAll(() => arena[Symbol.asyncDispose]());

const prototypeNames = [...Object.getOwnPropertyNames(Object.prototype), 'prototype', 'length', 'name', 'then'];

describe('A guest whose exports are named like members of objects', () => {
  test('has all of them called as its own', async () => {
    const functions = prototypeNames.map(
      (name, index) => `(func (export "${name}") (result i32) (i32.const ${index + 1}))`,
    );
    const plugin = compileText(guest(functions.join('\n')));
    for (const [index, functionName] of prototypeNames.entries()) {
      const { outcome } = await arena.withstand({ guest: plugin, functionName, ends: 'NONZERO_EXIT' });
      expect(outcome).toMatchObject({ error: { message: `The function returned ${index + 1}` } });
    }
  });

  test.each(['memory', 'global', 'table'])('but are a %s has none of them called', async (kind) => {
    const things = {
      memory: '(memory (export "constructor") 1)',
      global: '(global (export "__proto__") i32 (i32.const 1))',
      table: '(table (export "then") 1 funcref)',
    };
    const text = `(module ${things[kind as keyof typeof things]} (func (export "run")))`;
    await arena.withstand({ guest: text, ends: 'OK' });
    for (const functionName of ['constructor', '__proto__', 'then']) {
      await arena.withSandbox(async () => {});
      await expect(arena.withstand({ guest: text, functionName, ends: 'OK' })).rejects.toMatchObject({
        reason: 'FUNCTION_NOT_FOUND',
      });
    }
    await arena.expectSound();
  });
});

describe('A guest with very many exports', () => {
  test('starts in reasonable time all the same', async () => {
    const functions = Array.from({ length: 2_000 }, (_, index) => `(func (export "f${index}"))`);
    const plugin = compileText(guest(functions.join('\n')));
    for (let call = 0; call < 3; call++) {
      await arena.withstand({ guest: plugin, functionName: 'f1999', ends: 'OK', stopAfterMs: 10_000 });
    }
  });
});

describe('A guest whose names are hostile text', () => {
  test('has them bounded and on one line in its stack', async () => {
    const text = `(module (func $${'n'.repeat(5_000)} (export "run") unreachable))`;
    const { outcome } = await arena.withstand({ guest: text, ends: 'UNREACHABLE' });
    expect(outcome).toMatchObject({ error: { guestStack: [{ functionIndex: 0 }] } });
    const [frame] = outcome.name === 'OK' ? [] : outcome.error.guestStack;
    expect(Buffer.byteLength(frame?.function ?? '')).toBeLessThanOrEqual(256);
  });
});
