import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { systemClock } from '../../../../src/base/clock.ts';
import type { GuestEvent, GuestNote } from '../../../../src/model/execution.ts';
import { wasmPageBytes } from '../../../../src/model/limits.ts';
import { ControlBlock } from '../../../../src/sandbox/control-block.ts';
import { hostBytesPerUnit } from '../../../../src/sandbox/import-prices.ts';
import type { CompiledPlugin } from '../../../../src/sandbox/protocol.ts';
import { type CallResult, runCall } from '../../../../src/sandbox/thread/call.ts';
import type { CallServices } from '../../../../src/sandbox/thread/call-services.ts';
import { HostCaller } from '../../../../src/sandbox/thread/host-caller.ts';
import { Instances } from '../../../../src/sandbox/thread/instances.ts';
import { Preparation } from '../../../../src/sandbox/thread/preparation.ts';
import { Running } from '../../../../src/sandbox/thread/running.ts';
import { keepStackFrames } from '../../../../src/sandbox/thread/guest-stack.ts';
import {
  callOf,
  type CallOptions,
  compileText,
  type CompileOptions,
  echoGuest,
  guest,
  outputText,
} from '../../../helpers/sandbox.ts';

const framesBefore = Error.stackTraceLimit;
beforeAll(keepStackFrames);
afterAll(() => {
  Error.stackTraceLimit = framesBefore;
});

interface Called extends CallResult {
  readonly events: readonly (GuestEvent | GuestNote)[];
}

/** Runs a call as a sandbox's thread would, but in this one. */
async function call(plugin: CompiledPlugin | string, options: CallOptions & CompileOptions = {}): Promise<Called> {
  const compiled = typeof plugin === 'string' ? compileText(plugin, options) : plugin;
  const { input, profiled = false, ...asked } = callOf(compiled, options);
  const events: (GuestEvent | GuestNote)[] = [];
  const control = new ControlBlock();
  const services: CallServices = {
    control,
    events: { crowded: false, send: (event) => events.push(event) },
    clock: systemClock,
    running: new Running(),
    host: new HostCaller({ control, answers: undefined, post: () => {} }),
  };
  const instances = new Instances(new Preparation(services), systemClock);
  const result = runCall(
    { ...asked, type: 'call', pluginKey: compiled.key, forget: undefined, input: new Uint8Array(input), profiled },
    compiled,
    { services, instances },
  );
  return { ...result, events };
}

const hello = '(data (i32.const 0) "hello")';
const sayHello = '(call $output (call $block (i32.const 0) (i32.const 5)))';

describe('A call that succeeds', () => {
  test('gives the output, and a receipt', async () => {
    const { outcome } = await call(echoGuest, { input: 'hello' });
    expect(outputText(outcome)).toBe('hello');
    expect(outcome.usage).toMatchObject({
      inputBytes: 5,
      outputBytes: 5,
      memoryPeakBytes: wasmPageBytes,
      hostCalls: 0,
    });
  });

  test('may return nothing, and give no output', async () => {
    expect(outputText((await call(guest('(func (export "run"))'))).outcome)).toBe('');
  });

  test('gives just the part of a block that it says', async () => {
    const body = `${hello} (func (export "run")
      (call $output_set (i64.add (call $block (i32.const 0) (i32.const 5)) (i64.const 1)) (i64.const 3)))`;
    expect(outputText((await call(guest(body))).outcome)).toBe('ell');
  });

  test('gives an output that owns its bytes', async () => {
    const { outcome } = await call(echoGuest, { input: 'hello' });
    expect(outcome.name === 'OK' && outcome.output.buffer.byteLength).toBe(5);
  });

  test('tells when it began and ended', async () => {
    const beforeMs = systemClock.now();
    const { timings } = await call(echoGuest);
    const times = [beforeMs, timings.instanceStartMs, timings.guestStartMs, timings.guestEndMs, systemClock.now()];
    expect(times).toEqual(times.toSorted((one, other) => one - other));
  });

  test('reads configuration and variables, logs, and reports progress', async () => {
    const body = `(data (i32.const 0) "key") (data (i32.const 8) "name") (data (i32.const 16) "line")
      (func (export "run")
        (call $var_set (call $block (i32.const 8) (i32.const 4))
          (call $config_get (call $block (i32.const 0) (i32.const 3))))
        (call $log_warn (call $block (i32.const 16) (i32.const 4)))
        (call $progress (f64.const 0.5) (call $block (i32.const 16) (i32.const 4)) (i64.const 0))
        (call $output (call $var_get (call $block (i32.const 8) (i32.const 4)))))`;
    const { outcome, events } = await call(guest(body), { config: { key: 'value' } });
    expect(outputText(outcome)).toBe('value');
    expect(events).toEqual([
      { type: 'log', level: 'warn', message: 'line' },
      { type: 'progress', fraction: 0.5, message: 'line', data: new Uint8Array() },
    ]);
    expect(outcome.usage).toMatchObject({ hostCalls: 5, progressEvents: 1, progressCoalesced: 0, logBytes: 4 });
  });
});

describe('Lifecycle functions', () => {
  const recorder = `(global $at (mut i32) (i32.const 0))
    (func $note (param $letter i32)
      (i32.store8 (global.get $at) (local.get $letter))
      (global.set $at (i32.add (global.get $at) (i32.const 1))))
    (func (export "run") (call $output (call $block (i32.const 0) (global.get $at))))`;
  const noting = (name: string, letter: string): string =>
    `(func ${name} (call $note (i32.const ${letter.charCodeAt(0)})))`;

  test.each([
    ['start, then _initialize', `${noting('$s', 's')} (start $s) ${noting('(export "_initialize")', 'i')}`, 'si'],
    ['_start', noting('(export "_start")', 'm'), 'm'],
    ['hs_init', noting('(export "hs_init")', 'h'), 'h'],
    ['_initialize rather than _start', noting('(export "_initialize")', 'i') + noting('(export "_start")', 'm'), 'i'],
  ])('run before the function: %s', async (_what, functions, expected) => {
    expect(outputText((await call(guest(recorder + functions))).outcome)).toBe(expected);
  });

  test('see no input yet', async () => {
    const start = '(func $s (if (i64.ne (call $input_length) (i64.const 0)) (then unreachable))) (start $s)';
    expect((await call(guest(`${start} (func (export "run"))`), { input: 'input' })).outcome.name).toBe('OK');
  });

  test('may read the configuration, and trap like the function', async () => {
    const start = `(data (i32.const 0) "key") (start $s) (func (export "run"))
      (func $s (if (i64.ne (call $config_get (call $block (i32.const 0) (i32.const 3))) (i64.const 0)) (then unreachable)))`;
    const plugin = compileText(guest(start));
    expect((await call(plugin)).outcome.name).toBe('OK');
    const { outcome } = await call(plugin, { config: { key: 'value' } });
    expect(outcome).toMatchObject({ name: 'TRAP', error: { kind: 'UNREACHABLE', guestStack: [{ function: 's' }] } });
  });
});

describe('Fresh instances', () => {
  test('share nothing: globals, memory, tables, variables, kernel blocks', async () => {
    const body = `
      (global $count (mut i32) (i32.const 0)) (table $table 1 10 funcref) (data (i32.const 0) "name")
      (func $bump (result i32)
        (global.set $count (i32.add (global.get $count) (i32.const 1)))
        (i32.store (i32.const 64) (i32.add (i32.load (i32.const 64)) (i32.const 1)))
        (drop (table.grow $table (ref.null func) (i32.const 1)))
        (drop (memory.grow (i32.const 1)))
        (global.get $count))
      (func (export "run") (result i32) (local $sum i32)
        (local.set $sum (call $bump))
        (local.set $sum (i32.add (local.get $sum) (i32.load (i32.const 64))))
        (local.set $sum (i32.add (local.get $sum) (table.size $table)))
        (local.set $sum (i32.add (local.get $sum) (memory.size)))
        (local.set $sum (i32.add (local.get $sum)
          (i32.wrap_i64 (call $var_get (call $block (i32.const 0) (i32.const 4))))))
        (call $var_set (call $block (i32.const 0) (i32.const 4)) (call $block (i32.const 0) (i32.const 4)))
        (local.set $sum (i32.add (local.get $sum) (i32.wrap_i64 (call $alloc (i64.const 1)))))
        (local.get $sum))`;
    const plugin = compileText(guest(body));
    const outcomes = [];
    for (let round = 0; round < 3; round++) outcomes.push((await call(plugin)).outcome);
    const messages = outcomes.map((outcome) => outcome.name === 'PLUGIN_ERROR' && outcome.error.message);
    expect(messages).toEqual(Array(3).fill(`The function returned ${1 + 1 + 2 + 2 + 0 + 1048}`));
  });

  test('do not show one call the input of another', async () => {
    const body = `(func (export "run")
      (call $output_set (call $alloc (i64.const 4096)) (i64.const 4096)))`;
    const plugin = compileText(
      guest(`${body} (func (export "echo") (call $output_set (call $input_offset) (call $input_length)))`),
    );
    await call(plugin, { functionName: 'echo', input: 'S'.repeat(4096) });
    expect(outputText((await call(plugin)).outcome)).toBe('\0'.repeat(4096));
  });
});

describe('A guest that reports an error', () => {
  const failing = (then: string): string =>
    guest(`${hello} (func $run (export "run") (result i32)
      (call $error_set (call $block (i32.const 0) (i32.const 5))) ${then})`);

  test.each(['(i32.const 0)', '(i32.const 7)', `${sayHello} (i32.const 0)`])(
    'has it as the outcome, whatever it returns or puts out: %s',
    async (then) => {
      const { outcome } = await call(failing(then));
      expect(outcome).toMatchObject({
        name: 'PLUGIN_ERROR',
        error: { kind: 'GUEST_ERROR', message: 'hello', guestStack: [] },
      });
      expect(outcome.usage.outputBytes).toBe(0);
    },
  );

  test('and then aborts has its own words and the stack of the trap', async () => {
    const { outcome } = await call(failing('unreachable'));
    expect(outcome).toMatchObject({
      name: 'PLUGIN_ERROR',
      error: { kind: 'GUEST_ERROR', message: 'hello', guestStack: [{ function: 'run' }] },
    });
  });

  test('and takes it back has succeeded', async () => {
    expect((await call(failing('(call $error_set (i64.const 0)) (i32.const 0)'))).outcome.name).toBe('OK');
  });

  test('in bytes that are no text, or too many, has them made fit', async () => {
    const body = `(func (export "run") (local $at i64) (local.set $at (call $alloc (i64.const 10000)))
      (call $store_u8 (local.get $at) (i32.const 0xff)) (call $error_set (local.get $at)))`;
    const { outcome } = await call(guest(body));
    const message = outcome.name === 'OK' ? '' : outcome.error.message;
    expect(message).toMatch(/^\ufffd\0+…$/);
    expect(Buffer.byteLength(message)).toBeLessThanOrEqual(4096);
  });

  test('at an address where no block begins has no text', async () => {
    const body = '(func (export "run") (call $error_set (i64.add (call $alloc (i64.const 64)) (i64.const 8))))';
    expect((await call(guest(body))).outcome).toMatchObject({
      error: { kind: 'GUEST_ERROR', message: 'The guest reported an error without a text' },
    });
  });

  test('by a code has the code', async () => {
    expect((await call(guest('(func (export "run") (result i32) (i32.const -3))'))).outcome).toMatchObject({
      name: 'PLUGIN_ERROR',
      error: { kind: 'NONZERO_EXIT', message: 'The function returned -3' },
    });
  });
});

describe('Limits', () => {
  test('of output hold to the byte', async () => {
    const plugin = compileText(
      guest(`(func (export "run") (local $n i64)
      (local.set $n (call $input_length)) (call $output_set (call $alloc (local.get $n)) (local.get $n)))`),
    );
    const limits = { outputBytes: 1_000 };
    expect(outputText((await call(plugin, { input: new Uint8Array(1_000), limits })).outcome)).toHaveLength(1_000);
    const { outcome } = await call(plugin, { input: new Uint8Array(1_001), limits });
    expect(outcome).toMatchObject({ name: 'OUTPUT_TOO_LARGE', error: { kind: 'OUTPUT_TOO_LARGE' } });
    expect(outcome.usage.outputBytes).toBe(0);
  });

  test('of kernel memory leave room for the largest input and output', async () => {
    const limits = { inputBytes: 1_000_000, outputBytes: 1_000_000 };
    const body = `(func (export "run") (local $i i32)
      (drop (call $alloc (i64.const 1000000)))
      (loop $next (drop (call $alloc (i64.const 1048576)))
        (br_if $next (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const COUNT)))))`;
    const input = new Uint8Array(1_000_000);
    const fits = await call(guest(body.replace('COUNT', '15')), { input, limits });
    expect(fits.outcome.name).toBe('OK');
    const { outcome } = await call(guest(body.replace('COUNT', '16')), { input, limits });
    expect(outcome).toMatchObject({ name: 'MEMORY_EXHAUSTED', error: { kind: 'KERNEL_MEMORY' } });
  });

  const growing = (after: string): string =>
    guest(`(func $run (export "run")
      (loop $next (br_if $next (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))) ${after})`);
  const memoryBytes = 5 * wasmPageBytes;

  test('of guest memory hold to the page', async () => {
    const { outcome } = await call(growing(''), { memoryBytes, limits: { memoryBytes } });
    expect(outcome.name).toBe('OK');
    expect(outcome.usage.memoryPeakBytes).toBe(memoryBytes);
  });

  test('of guest memory are named when a guest traps there', async () => {
    const { outcome } = await call(growing('unreachable'), { memoryBytes, limits: { memoryBytes } });
    expect(outcome).toMatchObject({
      name: 'MEMORY_EXHAUSTED',
      error: { kind: 'GUEST_MEMORY', guestStack: [{ function: 'run' }] },
    });
    expect(outcome.usage.memoryPeakBytes).toBe(memoryBytes);
  });

  test('of guest memory are not blamed for a division by zero', async () => {
    const divide = '(drop (i32.div_u (i32.const 1) (i32.const 0)))';
    expect((await call(growing(divide), { memoryBytes, limits: { memoryBytes } })).outcome).toMatchObject({
      error: { kind: 'ARITHMETIC' },
    });
  });

  test('of guest memory are not blamed when the module itself bounds its memory', async () => {
    const text = guest('(func (export "run") unreachable)', '(memory 1 1)');
    expect((await call(text, { memoryBytes, limits: { memoryBytes } })).outcome).toMatchObject({
      error: { kind: 'UNREACHABLE' },
    });
  });

  test('of variables stop the guest, which cannot catch it', async () => {
    const body = `${hello} (func (export "run")
      (try (do (call $var_set (call $block (i32.const 0) (i32.const 5)) (call $alloc (i64.const 100)))) (catch_all)))`;
    expect((await call(guest(body), { limits: { varBytes: 104 } })).outcome).toMatchObject({
      name: 'PLUGIN_ERROR',
      error: { kind: 'GUEST_ERROR', message: 'Variable store is full: it holds at most 104 bytes' },
    });
    expect((await call(guest(body), { limits: { varBytes: 105 } })).outcome.name).toBe('OK');
  });
});

describe('A guest that fails as its instance is made', () => {
  test('has trapped', async () => {
    const { outcome, timings } = await call(guest('(data (i32.const 65535) "ab") (func (export "run"))'));
    expect(outcome).toMatchObject({ name: 'TRAP', error: { kind: 'OUT_OF_BOUNDS' } });
    expect(timings.guestEndMs).toBeGreaterThanOrEqual(timings.guestStartMs);
  });
});

describe('Functions', () => {
  test.each(['absent', 'caisson:memory0', 'memory', 'toString'])(
    'that cannot be called are refused: %s',
    async (functionName) => {
      const plugin = compileText(guest('(func (export "run"))', '(memory (export "memory") 1)'));
      await expect(call(plugin, { functionName })).rejects.toMatchObject({ reason: 'FUNCTION_NOT_FOUND' });
    },
  );

  test.each(['__proto__', 'constructor', 'hasOwnProperty', 'toString', 'length', 'name', 'prototype', ''])(
    'may have the name %j, all in one module',
    async (functionName) => {
      const names = ['__proto__', 'constructor', 'hasOwnProperty', 'toString', 'length', 'name', 'prototype', ''];
      const functions = names.map((name, code) => `(func (export "${name}") (result i32) (i32.const ${code + 1}))`);
      const { outcome } = await call(guest(functions.join('\n')), { functionName });
      expect(outcome).toMatchObject({ error: { message: `The function returned ${names.indexOf(functionName) + 1}` } });
    },
  );

  test('that were not granted do nothing', async () => {
    const body = `${hello} (func (export "run")
      (call $log_info (call $block (i32.const 0) (i32.const 5)))
      (call $progress (f64.const 1) (i64.const 0) (i64.const 0))
      (call $output (call $config_get (call $block (i32.const 0) (i32.const 5)))))`;
    const { outcome, events } = await call(guest(body), { config: { hello: 'secret' }, capabilities: [] });
    expect(outputText(outcome)).toBe('');
    expect(events).toEqual([]);
  });
});

describe('Fuel', () => {
  const counting = (count: number, then = ''): string =>
    guest(`(func (export "run") (result i32) (local $i i32)
      (loop $l (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const ${count}))))
      ${then} (i32.const 0))`);
  const fuelOf = async (text: string, options: CallOptions = {}): Promise<number> =>
    (await call(text, options)).outcome.usage.fuel;

  test('is in the receipt, the same for the same work, and in proportion to it', async () => {
    const [none, once, twice] = [
      await fuelOf(counting(1)),
      await fuelOf(counting(1_001)),
      await fuelOf(counting(2_001)),
    ];
    expect(once).toBeGreaterThan(none);
    expect(twice - once).toBe(once - none);
    expect(await fuelOf(counting(1_001))).toBe(once);
  });

  test.each([1, 1_000, 5_000_000])('has a sharp limit, for a loop of %d rounds', async (count) => {
    const plugin = compileText(counting(count));
    const { fuel } = (await call(plugin)).outcome.usage;
    const { outcome } = await call(plugin, { limits: { fuel } });
    expect(outcome).toMatchObject({ name: 'OK', usage: { fuel, fuelIsLowerBound: false } });
    expect((await call(plugin, { limits: { fuel: fuel - 1 } })).outcome).toMatchObject({
      name: 'FUEL_EXHAUSTED',
      error: { kind: 'FUEL', message: `The run needed more fuel than limits.fuel, ${fuel - 1} units` },
    });
  });

  test('that runs out in a loop shows where', async () => {
    const text = guest('(func $inner (loop (br 0))) (func $run (export "run") (call $inner))');
    const { outcome } = await call(text, { limits: { fuel: 1_000 } });
    expect(outcome).toMatchObject({
      error: { kind: 'FUEL', guestStack: [{ function: 'inner' }, { function: 'run' }] },
      usage: { fuelIsLowerBound: false },
    });
  });

  test('is a lower bound if the guest trapped, and exact if it failed by itself', async () => {
    expect((await call(counting(10, 'unreachable'))).outcome.usage.fuelIsLowerBound).toBe(true);
    expect((await call(guest('(func (export "run") (result i32) (i32.const 1))'))).outcome).toMatchObject({
      name: 'PLUGIN_ERROR',
      usage: { fuelIsLowerBound: false },
    });
  });

  test.each([
    ['start', '(func $s (call $work)) (start $s)'],
    ['_initialize', '(func (export "_initialize") (call $work))'],
    ['_start', '(func (export "_start") (call $work))'],
  ])('pays for %s, too', async (_name, lifecycle) => {
    const work = `(func $work (local $i i32)
      (loop $l (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 1000)))))`;
    const run = '(func (export "run"))';
    expect(await fuelOf(guest(work + lifecycle + run))).toBeGreaterThan((await fuelOf(guest(work + run))) + 1_000);
  });

  test('pays for the bytes that host functions read and copy', async () => {
    const setting = (bytes: number): string =>
      guest(`${hello} (func (export "run") (local $name i64) (local $value i64)
        (local.set $name (call $block (i32.const 0) (i32.const 5)))
        (local.set $value (call $alloc (i64.const 8192)))
        (call $store_u64 (i64.sub (local.get $value) (i64.const 8)) (i64.const ${(0x43415355n << 32n) + BigInt(bytes)}))
        (call $var_set (local.get $name) (local.get $value)))`);
    expect((await fuelOf(setting(8_000))) - (await fuelOf(setting(4_000)))).toBe(4_000 / hostBytesPerUnit);
  });

  test('pays for the bytes of kernel blocks', async () => {
    const taking = (bytes: number): string => guest(`(func (export "run") (drop (call $alloc (i64.const ${bytes}))))`);
    expect((await fuelOf(taking(1_600_000))) - (await fuelOf(taking(0)))).toBe(100_000);
  });

  test('pays for values of configuration by their length', async () => {
    const text = guest(
      `${hello} (func (export "run") (drop (call $config_get (call $block (i32.const 0) (i32.const 5)))))`,
    );
    const withValue = (bytes: number): Promise<number> => fuelOf(text, { config: { hello: 'x'.repeat(bytes) } });
    expect((await withValue(4_003)) - (await withValue(3))).toBe(4_000 / hostBytesPerUnit);
  });
});
