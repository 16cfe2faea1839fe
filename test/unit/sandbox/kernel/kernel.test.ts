import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { kernelFunctions } from '../../../../src/model/capability.ts';
import { kernelModule } from '../../../../src/sandbox/kernel/kernel.ts';

const scripts = join(import.meta.dirname, '../../../../scripts');

/** The lowest address that a guest can reach, and that of the first block. */
const reach = 1024n;
const firstBlock = 1048n;

type Address = bigint;

interface Kernel {
  readonly memory: WebAssembly.Memory;
  readonly limit: WebAssembly.Global<'i64'>;
  readonly output_offset: WebAssembly.Global<'i64'>;
  readonly output_length: WebAssembly.Global<'i64'>;
  readonly error_offset: WebAssembly.Global<'i64'>;
  readonly error_length: WebAssembly.Global<'i64'>;
  alloc(length: bigint): Address;
  try_alloc(length: bigint): Address;
  free(address: Address): void;
  length(address: Address): bigint;
  length_unsafe(address: Address): bigint;
  load_u8(address: Address): number;
  load_u64(address: Address): bigint;
  store_u8(address: Address, value: number): void;
  store_u64(address: Address, value: bigint): void;
  input_offset(): Address;
  input_length(): bigint;
  input_load_u8(offset: bigint): number;
  input_load_u64(offset: bigint): bigint;
  output_set(offset: Address, length: bigint): void;
  error_set(address: Address): void;
  error_get(): Address;
  config_get(key: Address): Address;
  var_get(key: Address): Address;
  var_set(key: Address, value: Address): void;
  log_info(address: Address): void;
  get_log_level(): number;
  set_input(offset: Address, length: bigint): void;
  reset(): void;
}

function kernel(limit = 1n << 20n, host: Record<string, unknown> = {}): Kernel & { readonly exhausted: () => number } {
  let exhausted = 0;
  const nothing = (): void => {};
  const instance = new WebAssembly.Instance(kernelModule(), {
    'caisson:host': {
      kernel_exhausted: () => exhausted++,
      config_get: () => 0n,
      var_get: () => 0n,
      var_set: () => 0,
      http_request: () => 0n,
      http_headers: () => 0n,
      http_status_code: () => 0,
      log_trace: nothing,
      log_debug: nothing,
      log_info: nothing,
      log_warn: nothing,
      log_error: nothing,
      get_log_level: () => 0,
      ...host,
    },
  } as WebAssembly.Imports);
  const exports = instance.exports as unknown as Kernel;
  exports.limit.value = limit;
  return { ...exports, exhausted: () => exhausted };
}

/** Sizes and addresses on which unsigned and signed arithmetic could differ or overflow. */
const hugeNumbers = [
  2n ** 31n,
  2n ** 32n - 8n,
  2n ** 32n,
  2n ** 32n + firstBlock,
  2n ** 63n - 1n,
  -1n,
  -8n,
  -(2n ** 63n),
];

describe('The kernel module', () => {
  test('exports every function that guests may import, with its type', () => {
    const exports = new Set(WebAssembly.Module.exports(kernelModule()).map(({ name }) => name));
    expect(Object.keys(kernelFunctions).filter((name) => !exports.has(name))).toEqual([]);
  });

  test('is what kernel.wat assembles to', () => {
    const check = (): unknown => execFileSync(process.execPath, [join(scripts, 'generate-kernel.ts'), '--check']);
    expect(check).not.toThrow();
  });
});

describe('alloc', () => {
  test('gives blocks that are aligned, zero, of the length asked for and apart', () => {
    const k = kernel();
    const lengths = [1n, 7n, 8n, 9n, 32n, 33n, 40n, 41n, 100n, 1000n, 4096n, 65_536n];
    const blocks = lengths.map((length) => ({ length, address: k.alloc(length) }));
    for (const { length, address } of blocks) {
      expect(address % 8n).toBe(0n);
      expect(k.length(address)).toBe(length);
      expect(new Uint8Array(k.memory.buffer, Number(address), Number(length)).every((byte) => byte === 0)).toBe(true);
      new Uint8Array(k.memory.buffer, Number(address), Number(length)).fill(0xff);
    }
    for (const { length, address } of blocks) expect(k.length(address)).toBe(length);
  });

  test('of nothing is 0', () => {
    expect(kernel().alloc(0n)).toBe(0n);
  });

  test.each(hugeNumbers)('of %d bytes tells the host and traps', (length) => {
    const k = kernel();
    expect(() => k.alloc(length)).toThrow(WebAssembly.RuntimeError);
    expect(k.exhausted()).toBe(1);
    expect(k.length(k.alloc(8n))).toBe(8n);
  });

  test('keeps to the limit to the byte, headers included', () => {
    expect(kernel(8n + 1024n).alloc(1024n)).toBe(firstBlock);
    const k = kernel(8n + 1023n);
    expect(() => k.alloc(1024n)).toThrow(WebAssembly.RuntimeError);
    expect(k.exhausted()).toBe(1);
  });

  test('grows the memory as far as the limit asks, and no further', () => {
    const limit = 5n << 20n;
    const k = kernel(limit);
    let blocks = 0n;
    while (k.try_alloc(65_536n) !== 0n) blocks++;
    expect(blocks).toBe(limit / 65_544n);
    expect(BigInt(k.memory.buffer.byteLength)).toBeLessThanOrEqual(limit + (1n << 20n) + 131_072n);
  });

  test('fails like any other when the memory itself cannot grow', () => {
    const k = kernel(2n ** 31n - 1n);
    expect(k.try_alloc(2n ** 30n)).toBe(0n);
    expect(k.length(k.alloc(8n))).toBe(8n);
  });
});

describe('free', () => {
  test('gives the room of the last block back', () => {
    const k = kernel();
    const first = k.alloc(100n);
    k.free(first);
    expect(k.alloc(5000n)).toBe(first);
  });

  test('makes a block inside the heap available to blocks of its class, zeroed', () => {
    const k = kernel();
    const block = k.alloc(100n);
    const wall = k.alloc(1n);
    new Uint8Array(k.memory.buffer, Number(block), 100).fill(0xff);
    k.free(block);
    expect(k.length(block)).toBe(0n);
    expect(k.alloc(40n)).toBeGreaterThan(wall);
    expect(k.alloc(97n)).toBe(block);
    expect(k.length(block)).toBe(97n);
    expect(new Uint8Array(k.memory.buffer, Number(block), 112).every((byte) => byte === 0)).toBe(true);
  });

  test('leaves the bytes as they are until the block is taken again', () => {
    const k = kernel();
    const block = k.alloc(16n);
    k.alloc(1n);
    k.store_u64(block, 0x1122334455667788n);
    k.free(block);
    expect(k.load_u64(block)).toBe(0x1122334455667788n);
  });

  test('of what is no block, or of a block a second time, does nothing', () => {
    const k = kernel();
    const block = k.alloc(64n);
    const wall = k.alloc(8n);
    k.free(block);
    for (const address of [block, block + 8n, block + 1n, 0n, 1n, 1040n, ...hugeNumbers]) k.free(address);
    expect(k.length(wall)).toBe(8n);
    expect(k.alloc(64n)).toBe(block);
    expect(k.alloc(64n)).not.toBe(block);
  });

  test.each([8n, 100n, 5000n])('in a loop with alloc of %d bytes takes no more room than one round', (length) => {
    const k = kernel(65_536n);
    const walls: Address[] = [];
    for (let round = 0; round < 10_000; round++) {
      const key = k.alloc(length);
      const value = k.alloc(length + 20n);
      if (round < 3) walls.push(k.alloc(1n));
      k.free(key);
      k.free(value);
    }
    expect(k.exhausted()).toBe(0);
    expect(walls.map((wall) => k.length(wall))).toEqual([1n, 1n, 1n]);
  });
});

describe('length', () => {
  test('is that of the block that begins just there, else 0', () => {
    const k = kernel();
    const block = k.alloc(24n);
    for (let offset = -48n; offset < 48n; offset++) {
      expect(k.length(block + offset)).toBe(offset === 0n ? 24n : 0n);
      expect(k.length_unsafe(block + offset)).toBe(offset === 0n ? 24n : 0n);
    }
  });

  test.each(hugeNumbers)('at %d is 0', (address) => {
    const k = kernel();
    expect(k.length(address)).toBe(0n);
    k.alloc(24n);
    expect(k.length(address)).toBe(0n);
    expect(k.length(2n ** 32n + firstBlock)).toBe(0n);
  });
});

describe('load and store', () => {
  test('read what was written, little-endian', () => {
    const k = kernel();
    const block = k.alloc(16n);
    k.store_u64(block + 3n, 0x0102030405060708n);
    k.store_u8(block, 0x1ff);
    expect(k.load_u8(block)).toBe(0xff);
    expect(k.load_u8(block + 3n)).toBe(8);
    expect(k.load_u64(block + 3n)).toBe(0x0102030405060708n);
  });

  test('end with the heap, to the byte', () => {
    const k = kernel();
    const block = k.alloc(8n);
    const end = block + 8n;
    k.store_u64(block, -1n);
    k.store_u8(end - 1n, 7);
    expect(k.load_u8(end - 1n)).toBe(7);
    k.store_u8(end, 9);
    k.store_u64(end - 7n, 0n);
    expect(k.load_u8(end)).toBe(0);
    expect(k.load_u64(end - 7n)).toBe(0n);
    expect(k.load_u64(block)).toBe(0x07ffffffffffffffn);
    expect(new Uint8Array(k.memory.buffer)[Number(end)]).toBe(0);
  });

  test.each([0n, 8n, reach - 8n, reach - 1n, ...hugeNumbers])('at %d read 0 and write nothing', (address) => {
    const k = kernel();
    k.alloc(64n);
    const before = new Uint8Array(k.memory.buffer).slice();
    k.store_u8(address, 0xff);
    k.store_u64(address, -1n);
    expect(k.load_u8(address)).toBe(0);
    expect(k.load_u64(address)).toBe(0n);
    expect(Buffer.compare(new Uint8Array(k.memory.buffer), before)).toBe(0);
  });
});

describe('The input', () => {
  test('is nothing at first', () => {
    const k = kernel();
    expect([k.input_offset(), k.input_length(), k.input_load_u8(0n), k.input_load_u64(0n)]).toEqual([0n, 0n, 0, 0n]);
  });

  test('reads 0 beyond its end, to the byte', () => {
    const k = kernel();
    const block = k.alloc(11n);
    new Uint8Array(k.memory.buffer, Number(block), 16).fill(0xaa);
    k.set_input(block, 11n);
    expect([k.input_offset(), k.input_length()]).toEqual([block, 11n]);
    expect(k.input_load_u8(10n)).toBe(0xaa);
    expect(k.input_load_u64(3n)).toBe(-0x5555555555555556n);
    for (const offset of [11n, 12n, ...hugeNumbers]) expect(k.input_load_u8(offset)).toBe(0);
    for (const offset of [4n, 10n, 11n, -3n, ...hugeNumbers]) expect(k.input_load_u64(offset)).toBe(0n);
  });

  test('shorter than 8 bytes has no u64', () => {
    const k = kernel();
    const block = k.alloc(7n);
    new Uint8Array(k.memory.buffer, Number(block), 8).fill(0xaa);
    k.set_input(block, 7n);
    expect(k.input_load_u64(0n)).toBe(0n);
    expect(k.input_load_u64(-1n)).toBe(0n);
  });
});

describe('output_set', () => {
  test('records part of a block exactly, and nothing as nothing', () => {
    const k = kernel();
    const block = k.alloc(100n);
    k.output_set(block + 3n, 5n);
    expect([k.output_offset.value, k.output_length.value]).toEqual([block + 3n, 5n]);
    k.output_set(0n, 0n);
    expect([k.output_offset.value, k.output_length.value]).toEqual([0n, 0n]);
  });

  test('takes all of the heap, and ignores what reaches beyond it', () => {
    const k = kernel();
    const block = k.alloc(104n);
    const end = block + 112n;
    k.output_set(block, end - block);
    for (const [offset, length] of [
      [block, end - block + 1n],
      [end, 1n],
      [reach - 1n, 2n],
      [block, -1n],
      [block, 2n ** 32n],
      [-1n, 1n],
      [-8n, 16n],
      [2n ** 32n + block, 8n],
      [0n, 8n],
    ] as const) {
      k.output_set(offset, length);
      expect([k.output_offset.value, k.output_length.value]).toEqual([block, end - block]);
    }
  });
});

describe('error_set', () => {
  test('keeps the block and its length, also when the block is freed', () => {
    const k = kernel();
    const block = k.alloc(10n);
    k.error_set(block);
    k.free(block);
    expect([k.error_get(), k.error_offset.value, k.error_length.value]).toEqual([block, block, 10n]);
  });

  test('of 0 clears', () => {
    const k = kernel();
    k.error_set(k.alloc(10n));
    k.error_set(0n);
    expect([k.error_get(), k.error_length.value]).toEqual([0n, 0n]);
  });

  test('ignores addresses outside the heap, and finds no text where no block begins', () => {
    const k = kernel();
    const block = k.alloc(10n);
    for (const address of hugeNumbers) k.error_set(address);
    expect(k.error_get()).toBe(0n);
    k.error_set(block + 1n);
    expect([k.error_get(), k.error_length.value]).toEqual([block + 1n, 0n]);
  });
});

describe('Functions of the host', () => {
  test('are handed on with their arguments and results', () => {
    const calls: unknown[] = [];
    const note =
      (result?: unknown) =>
      (...args: unknown[]) => {
        calls.push(args);
        return result;
      };
    const k = kernel(1024n, {
      config_get: note(5n),
      var_get: note(6n),
      var_set: note(0),
      log_info: note(),
      get_log_level: note(2),
    });
    expect([k.config_get(1n), k.var_get(2n), k.var_set(3n, 4n), k.log_info(5n), k.get_log_level()]).toEqual([
      5n,
      6n,
      undefined,
      undefined,
      2,
    ]);
    expect(calls).toEqual([[1n], [2n], [3n, 4n], [5n], []]);
  });

  test.each(['config_get', 'var_get', 'var_set'] as const)('%s stops the guest when the host answers -1', (name) => {
    const k = kernel(1024n, { config_get: () => -1n, var_get: () => -1n, var_set: () => -1 });
    expect(() => k[name](1n, 1n)).toThrow(new WebAssembly.RuntimeError('unreachable'));
  });
});

describe('reset', () => {
  test('forgets blocks, input, output and error, and every byte', () => {
    const k = kernel();
    for (const length of [100n, 1n, 200_000n]) k.store_u64(k.alloc(length), -1n);
    k.free(firstBlock);
    k.set_input(firstBlock, 1n);
    k.output_set(firstBlock, 1n);
    k.error_set(firstBlock);
    k.reset();
    expect(new Uint8Array(k.memory.buffer).every((byte) => byte === 0)).toBe(true);
    expect([k.input_length(), k.output_length.value, k.error_get()]).toEqual([0n, 0n, 0n]);
    expect(k.alloc(200n)).toBe(firstBlock);
  });
});

/** The header of a block in use, and of a free one of the class of 4096 bytes. */
const usedHeader = (length: bigint): bigint => (0x43415355n << 32n) | length;
const freeHeader = (next: bigint): bigint => ((0x43414600n + 32n) << 32n) | next;

describe('A forged header', () => {
  /** A kernel whose list of blocks of 4096 bytes holds one, whose header then is `header`. */
  function withForgedList(header: bigint) {
    const k = kernel();
    const block = k.alloc(4096n);
    k.alloc(8n);
    k.free(block);
    expect(k.load_u64(block - 8n)).toBe(freeHeader(0n));
    k.store_u64(block - 8n, header);
    return { k, block };
  }

  test.each([2n ** 32n - 8n, 2n ** 32n - 1n, 8n, 1040n, 1048n, 1051n, 500_000n])(
    'that links a free block to %d leads no further',
    (address) => {
      const { k, block } = withForgedList(freeHeader(address));
      const end = block + 4096n + 16n;
      expect(k.alloc(4096n)).toBe(block);
      expect(k.alloc(4096n)).toBe(end + 8n);
    },
  );

  test('that links to a free block which would end beyond the heap leads no further', () => {
    const { k, block } = withForgedList(freeHeader(0n));
    const last = k.alloc(64n);
    k.store_u64(block - 8n, freeHeader(last + 8n));
    k.store_u64(last, freeHeader(0n));
    expect(k.alloc(4096n)).toBe(block);
    expect(k.alloc(4096n)).toBe(last + 64n + 8n);
  });

  test('of a free block that says that it is of another class, or used, gives its list up', () => {
    for (const header of [freeHeader(0n) + (1n << 32n), usedHeader(4096n), 0n]) {
      const { k, block } = withForgedList(header);
      expect(k.alloc(4096n)).toBeGreaterThan(block);
    }
  });

  test('that is not aligned is no header', () => {
    const k = kernel();
    const block = k.alloc(64n);
    for (let offset = 0n; offset < 8n; offset++) {
      k.store_u64(block + offset, usedHeader(16n));
      expect(k.length(block + offset + 8n)).toBe(offset === 0n ? 16n : 0n);
    }
  });

  test('that says that its block ends beyond the heap is no header', () => {
    const k = kernel();
    const block = k.alloc(64n);
    k.store_u64(block, usedHeader(56n));
    expect(k.length(block + 8n)).toBe(56n);
    k.store_u64(block, usedHeader(57n));
    expect(k.length(block + 8n)).toBe(0n);
  });
});

/** What a guest may do with blocks, and all that it could do to corrupt them. */
type Step =
  | { readonly do: 'alloc'; readonly length: number }
  | { readonly do: 'free'; readonly which: number }
  | { readonly do: 'forge'; readonly which: number; readonly offset: number; readonly value: bigint };

const honest: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constant('alloc' as const), length: fc.integer({ min: 1, max: 3000 }) }),
  fc.record({ do: fc.constant('free' as const), which: fc.nat() }),
);

/** Values that pass for headers, links and lengths. */
const forgedValue = fc.oneof(
  fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  fc.integer({ min: 0, max: 2 ** 31 }).map((length) => (0x43415355n << 32n) | BigInt(length)),
  fc
    .tuple(fc.integer({ min: 0, max: 100 }), fc.integer({ min: 0, max: 40_000 }))
    .map(([klass, next]) => (BigInt(0x43414600 + klass) << 32n) | BigInt(next * 8)),
);

const hostile: fc.Arbitrary<Step> = fc.oneof(
  honest,
  fc.record({
    do: fc.constant('forge' as const),
    which: fc.nat(),
    offset: fc.integer({ min: -4, max: 8 }),
    value: forgedValue,
  }),
);

describe('The heap', () => {
  test('keeps blocks apart, zeroed when taken, and within the room of their classes', () => {
    fc.assert(
      fc.property(fc.array(honest, { maxLength: 200 }), (steps) => {
        const k = kernel(1n << 20n);
        const live = new Map<Address, { readonly length: number; readonly mark: number }>();
        let mark = 0;
        for (const step of steps) {
          if (step.do === 'alloc') {
            const address = k.alloc(BigInt(step.length));
            const bytes = new Uint8Array(k.memory.buffer, Number(address), step.length);
            expect(bytes.every((byte) => byte === 0)).toBe(true);
            mark = (mark % 255) + 1;
            bytes.fill(mark);
            live.set(address, { length: step.length, mark });
          } else if (step.do === 'free' && live.size > 0) {
            const address = [...live.keys()][step.which % live.size] as Address;
            k.free(address);
            live.delete(address);
          }
        }
        for (const [address, block] of live) {
          expect(k.length(address)).toBe(BigInt(block.length));
          const bytes = new Uint8Array(k.memory.buffer, Number(address), block.length);
          expect(bytes.every((byte) => byte === block.mark)).toBe(true);
        }
      }),
      { numRuns: 200 },
    );
  });

  test('with forged headers never traps, never hangs and never leaves its bounds', () => {
    const limit = 1n << 20n;
    fc.assert(
      fc.property(fc.array(hostile, { maxLength: 200 }), (steps) => {
        const k = kernel(limit);
        const known: Address[] = [];
        const pick = (which: number): Address => known[which % known.length] ?? firstBlock;
        for (const step of steps) {
          if (step.do === 'alloc') known.push(k.try_alloc(BigInt(step.length)));
          else if (step.do === 'free') k.free(pick(step.which));
          else k.store_u64(pick(step.which) + BigInt(step.offset * 8), BigInt.asIntN(64, step.value));
          for (const address of known.slice(-3)) {
            if (address === 0n) continue;
            expect(address).toBeGreaterThanOrEqual(firstBlock);
            expect(address + k.length(address)).toBeLessThanOrEqual(BigInt(k.memory.buffer.byteLength));
          }
        }
        expect(new Uint8Array(k.memory.buffer, 512, 512).every((byte) => byte === 0)).toBe(true);
        expect(BigInt(k.memory.buffer.byteLength)).toBeLessThanOrEqual(limit + (1n << 20n) + 131_072n);
      }),
      { numRuns: 500 },
    );
  });
});
