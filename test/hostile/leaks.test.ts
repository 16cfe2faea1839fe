/**
 * What one call writes, another must not find: secrets go into everything that a
 * guest can write to, and searches look through everything that it can read.
 */

import { describe, expect, test } from 'vitest';
import { joinHttpAnswer, httpCodes } from '../../src/capabilities/http-messages.ts';
import type { CompiledPlugin, InstanceWish, Sandbox } from '../../src/sandbox/sandbox.ts';
import { compileText, guest, runIn, SandboxSet } from '../helpers/sandbox.ts';

/** The upper half of every secret. */
const mark = 0xca155ecen;

const wasi = (name: string, parameters: string): string =>
  `(import "wasi_snapshot_preview1" "${name}" (func $${name} (param ${parameters}) (result i32)))`;

/**
 * "write" puts the secret of its input into memory, a global, a table, a variable, kernel blocks, a file and
 * the state of http; "search" puts out every secret that it finds in any of them.
 */
const text = guest(
  `
  (data (i32.const 0) "name") (data (i32.const 16) "/leak")
  (data (i32.const 32) "{\\22url\\22:\\22https://example.com/\\22}")
  (global $g (mut i64) (i64.const 0))
  (table $t 1 64 funcref) (elem declare func $nothing) (func $nothing)

  (func (export "write") (local $secret i64) (local $block i64) (local $i i32)
    (local.set $secret (call $input_load_u64 (i64.const 0)))
    (loop $next
      (i64.store (i32.add (i32.const 4096) (i32.mul (local.get $i) (i32.const 4096))) (local.get $secret))
      (br_if $next (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 15))))
    (global.set $g (local.get $secret))
    (drop (table.grow $t (ref.func $nothing) (i32.const 1)))
    (local.set $block (call $alloc (i64.const 8)))
    (call $store_u64 (local.get $block) (local.get $secret))
    (call $var_set (call $block (i32.const 0) (i32.const 4)) (local.get $block))
    (call $store_u64 (call $alloc (i64.const 64)) (local.get $secret))
    (local.set $block (call $alloc (i64.const 4096)))
    (call $store_u64 (local.get $block) (local.get $secret))
    (call $store_u64 (i64.add (local.get $block) (i64.const 4000)) (local.get $secret))
    (call $free (local.get $block))
    (drop (call $path_open (i32.const 3) (i32.const 0) (i32.const 17) (i32.const 4) (i32.const 1)
      (i64.const -1) (i64.const -1) (i32.const 0) (i32.const 128)))
    (i32.store (i32.const 132) (i32.const 4096)) (i32.store (i32.const 136) (i32.const 8))
    (drop (call $fd_write (i32.load (i32.const 128)) (i32.const 132) (i32.const 1) (i32.const 140)))
    (drop (call $http_request (call $block (i32.const 32) (i32.const 30)) (i64.const 0)))
    (call $output_set (call $input_offset) (i64.const 8)))

  (global $found (mut i64) (i64.const 0))
  (func $see (param $value i64)
    (if (i64.eq (i64.shr_u (local.get $value) (i64.const 32)) (i64.const ${mark}))
      (then
        (call $store_u64 (i64.add (global.get $found) (i64.const 8)) (local.get $value))
        (call $store_u64 (global.get $found)
          (i64.add (call $load_u64 (global.get $found)) (i64.const 1))))))
  (func (export "search") (local $i i32) (local $a i64) (local $end i64)
    ;; The kernel first: nothing of this call is in it yet.
    (local.set $end (call $alloc (i64.const 65536)))
    (local.set $end (i64.add (local.get $end) (i64.const 65536)))
    (global.set $found (call $alloc (i64.const 16)))
    (local.set $a (i64.const 1024))
    (loop $next
      (call $see (call $load_u64 (local.get $a)))
      (br_if $next (i64.lt_u (local.tee $a (i64.add (local.get $a) (i64.const 8))) (local.get $end))))
    (call $see (global.get $g))
    (local.set $i (i32.const 256))
    (loop $next
      (call $see (i64.load (local.get $i)))
      (br_if $next (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 8))) (i32.const 65528))))
    (if (i32.gt_u (table.size $t) (i32.const 1)) (then (call $see (i64.const ${(mark << 32n) | 0xffffffffn}))))
    (if (i32.ne (call $http_status_code) (i32.const 0)) (then (call $see (i64.const ${(mark << 32n) | 0xfffffffen}))))
    (local.set $a (call $var_get (call $block (i32.const 0) (i32.const 4))))
    (if (i64.ne (local.get $a) (i64.const 0)) (then (call $see (call $load_u64 (local.get $a)))))
    (if (i32.eqz (call $path_open (i32.const 3) (i32.const 0) (i32.const 17) (i32.const 4) (i32.const 0)
          (i64.const -1) (i64.const -1) (i32.const 0) (i32.const 128)))
      (then
        (i32.store (i32.const 132) (i32.const 144)) (i32.store (i32.const 136) (i32.const 8))
        (drop (call $fd_read (i32.load (i32.const 128)) (i32.const 132) (i32.const 1) (i32.const 140)))
        (call $see (i64.load (i32.const 144)))
        (i64.store (i32.const 144) (i64.const 0))))
    (call $output_set (global.get $found) (i64.const 16)))`,
).replace(
  '(import "extism:host/user" "progress"',
  `(import "extism:host/env" "http_request" (func $http_request (param i64 i64) (result i64)))
   (import "extism:host/env" "http_status_code" (func $http_status_code (result i32)))
   ${wasi('path_open', 'i32 i32 i32 i32 i32 i64 i64 i32 i32')}
   ${wasi('fd_write', 'i32 i32 i32 i32')} ${wasi('fd_read', 'i32 i32 i32 i32')}
   (import "extism:host/user" "progress"`,
);

type Actor = { readonly name: string; readonly instance: InstanceWish };

const actors: readonly Actor[] = [
  { name: 'fresh of a', instance: { mode: 'fresh', warm: 1, key: '' } },
  { name: 'fresh of b', instance: { mode: 'fresh', warm: 1, key: '' } },
  ...['a', 'b'].map((tenant) => ({
    name: `reuse of ${tenant}`,
    instance: { mode: 'reuse', warm: 1, key: `reuse ${tenant}` } as const,
  })),
  ...['a1', 'a2', 'b1'].map((session) => ({
    name: `session ${session}`,
    instance: { mode: 'session', warm: 0, key: `session ${session}` } as const,
  })),
];

/** Numbers that are the same in every run (xorshift32). */
function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

async function write(sandbox: Sandbox, plugin: CompiledPlugin, actor: Actor, secret: bigint): Promise<void> {
  const input = new Uint8Array(8);
  new DataView(input.buffer).setBigUint64(0, secret, true);
  const { outcome } = await runIn(sandbox, plugin, {
    functionName: 'write',
    input,
    instance: actor.instance,
    answer: async () => ({
      code: httpCodes.answered,
      payload: joinHttpAnswer({ status: 418, headers: Buffer.from('{}'), body: Buffer.from(input) }),
    }),
  });
  expect(outcome.name).toBe('OK');
  expect(outcome.usage.hostCallsByCapability).toMatchObject({ http: 1, vars: 1, wasi: 2 });
}

/** The secrets found: how many times any, and the last one. */
async function search(
  sandbox: Sandbox,
  plugin: CompiledPlugin,
  actor: Actor,
): Promise<{ times: bigint; last: bigint }> {
  const { outcome } = await runIn(sandbox, plugin, { functionName: 'search', instance: actor.instance });
  if (outcome.name !== 'OK') throw new Error(`The search failed: ${outcome.error.message}`);
  const view = new DataView(outcome.output.buffer);
  return { times: view.getBigUint64(0, true), last: view.getBigUint64(8, true) };
}

describe('Secrets of one call', () => {
  test('are found by searches of the very same session, so that searching means something', async () => {
    await using set = new SandboxSet();
    const sandbox = await set.start();
    const plugin = compileText(text);
    const session: Actor = { name: 's', instance: { mode: 'session', warm: 0, key: 's' } };
    expect((await search(sandbox, plugin, session)).times).toBe(0n);
    await write(sandbox, plugin, session, (mark << 32n) | 7n);
    // Memory, global, table and variable; kernel blocks, files and the state of http are each call's own.
    expect((await search(sandbox, plugin, session)).times).toBe(15n + 1n + 1n + 1n);
  });

  test('are not found by any other call, session or tenant, in 10,000 random interleavings', {
    timeout: 120_000,
  }, async () => {
    await using set = new SandboxSet();
    const sandbox = await set.start();
    const plugin = compileText(text);
    const below = numbers(20_261_120);
    const writer = new Map<bigint, string>();
    for (let step = 0; step < 10_000; step++) {
      const actor = actors[below(actors.length)] as Actor;
      if (below(2) === 0) {
        const secret = (mark << 32n) | BigInt(step);
        writer.set(secret, actor.name);
        await write(sandbox, plugin, actor, secret);
        continue;
      }
      const { times, last } = await search(sandbox, plugin, actor);
      if (times === 0n) continue;
      expect(actor.instance.mode, `step ${step}: ${actor.name}`).not.toBe('fresh');
      // The marks of table and http name nobody.
      if ((last & 0xffffffffn) < 0xfffffffen) expect(writer.get(last), `step ${step}`).toBe(actor.name);
      else expect(last & 1n, 'the state of http is each call’s own').toBe(1n);
    }
  });
});
