import { describe, expect, test } from 'vitest';
import { kernelControls, kernelModule } from '../../../../src/sandbox/kernel/kernel.ts';
import { KernelMemory } from '../../../../src/sandbox/thread/kernel-memory.ts';

function setUp(limit = 1 << 20) {
  const nothing = (): number => 0;
  const host = Object.fromEntries(WebAssembly.Module.imports(kernelModule()).map(({ name }) => [name, nothing]));
  const { exports } = new WebAssembly.Instance(kernelModule(), { 'caisson:host': host });
  const kernel = new KernelMemory(
    Object.fromEntries(kernelControls.map(({ name, as }) => [as, exports[name] as WebAssembly.ExportValue])),
    exports['memory'] as WebAssembly.Memory,
  );
  kernel.setLimit(limit);
  const guest = exports as unknown as {
    output_set(offset: bigint, length: bigint): void;
    error_set(address: bigint): void;
    input_length(): bigint;
    input_load_u8(offset: bigint): number;
  };
  return { kernel, guest };
}

const text = (bytes: Uint8Array | undefined): string | undefined => bytes && Buffer.from(bytes).toString();

describe('KernelMemory', () => {
  test('writes blocks, views them and frees them', () => {
    const { kernel } = setUp();
    const address = kernel.write(Buffer.from('block')) as bigint;
    expect(text(kernel.view(address))).toBe('block');
    expect(kernel.view(address + 8n)).toBeUndefined();
    expect(kernel.view(-1n)).toBeUndefined();
    kernel.free(address);
    expect(kernel.view(address)).toBeUndefined();
  });

  test('takes 0 for the block of nothing', () => {
    const { kernel } = setUp();
    expect(kernel.write(new Uint8Array())).toBe(0n);
    expect(kernel.view(0n)).toEqual(new Uint8Array());
  });

  test('says when there is no room, and does not trap', () => {
    const { kernel } = setUp(1_000);
    expect(kernel.write(new Uint8Array(2_000))).toBeUndefined();
    expect(kernel.setInput(new Uint8Array(2_000))).toBe(false);
    expect(kernel.setInput(new Uint8Array(500))).toBe(true);
  });

  test('gives the guest its input, also when the memory had to grow for it', () => {
    const { kernel, guest } = setUp();
    const input = new Uint8Array(300_000).fill(7);
    expect(kernel.setInput(input)).toBe(true);
    expect([guest.input_length(), guest.input_load_u8(299_999n), guest.input_load_u8(300_000n)]).toEqual([
      300_000n,
      7,
      0,
    ]);
  });

  test('reads the output as a copy that owns its bytes', () => {
    const { kernel, guest } = setUp();
    const address = kernel.write(Buffer.from('an output')) as bigint;
    expect([kernel.outputBytes, kernel.readOutput().length]).toEqual([0, 0]);
    guest.output_set(address + 3n, 3n);
    const output = kernel.readOutput();
    expect([kernel.outputBytes, text(output), output.buffer.byteLength]).toEqual([3, 'out', 3]);
  });

  test('tells no error from an error without text', () => {
    const { kernel, guest } = setUp();
    const address = kernel.write(Buffer.from('an error')) as bigint;
    expect(kernel.error).toBeUndefined();
    guest.error_set(address + 1n);
    expect(kernel.error).toEqual(new Uint8Array());
    guest.error_set(address);
    expect(text(kernel.error)).toBe('an error');
    guest.error_set(0n);
    expect(kernel.error).toBeUndefined();
  });
});
