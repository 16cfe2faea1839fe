/**
 * Bytes in and out of a plugin: the echo example, against plain Extism, whose
 * kernel is JavaScript. Three ways of looking, each like with like: the call
 * alone on an instance that is there; a fresh instance for each call in the
 * thread that calls; a call that can be stopped, which is Extism's own worker
 * mode against our thread with a fresh instance.
 */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createPlugin } from '@extism/extism';
import { buildExamples } from '../../plugins-examples/build.ts';
import { systemClock } from '../../src/base/clock.ts';
import { digestOf } from '../../src/base/digest.ts';
import { type RunLimits, resolveLimits } from '../../src/model/limits.ts';
import { Compiler } from '../../src/sandbox/compiler.ts';
import { adapterName, hostModule, kernelModule } from '../../src/sandbox/kernel/kernel.ts';
import type { CompiledPlugin } from '../../src/sandbox/protocol.ts';
import { Sandbox } from '../../src/sandbox/sandbox.ts';
import { link } from '../../src/sandbox/thread/extism.ts';
import { meterModule, refuelName } from '../../src/wasm/metering/reserved.ts';
import { KernelMemory } from '../../src/sandbox/thread/kernel-memory.ts';
import { modulePolicyDefault } from '../../src/wasm/policy.ts';
import { type Contender, compare, type Figure } from '../measure.ts';
import type { CaseReport, Row } from '../report.ts';

const sizes = [
  { name: '1 KiB', bytes: 1_024, units: 200 },
  { name: '64 KiB', bytes: 65_536, units: 60 },
  { name: '1 MiB', bytes: 1_048_576, units: 6 },
];

type Echo = (input: Uint8Array) => Promise<number | undefined> | number | undefined;

interface Contenders extends AsyncDisposable {
  /** Name, how it echoes, and the name of what it is compared with. */
  readonly list: readonly { readonly name: string; readonly against: string; readonly echo: Echo }[];
}

export async function io(options: { quick: boolean }): Promise<CaseReport> {
  await buildExamples({});
  const wasm = readFileSync(join(import.meta.dirname, '../../plugins-examples/build/echo.wasm'));
  await using contenders = await start(wasm);
  const rows: Row[] = [];
  for (const size of sizes) {
    const input = new Uint8Array(size.bytes).fill(7);
    const list = contenders.list.map(
      ({ name, echo }): Contender => ({ name, run: () => checked(echo(input), size.bytes) }),
    );
    const rounds = options.quick ? 5 : 15;
    const figures = await compare(list, { rounds, unitsPerRound: size.units, warmupUnits: size.units * 3 });
    const medians = new Map(figures.map((figure) => [figure.name, figure.medianUs]));
    rows.push(
      ...figures.map((figure, index) => {
        const against = medians.get(contenders.list[index]?.against ?? '') ?? Number.NaN;
        return row(size.name, { ...figure, ratio: against / figure.medianUs });
      }),
    );
  }
  return { name: 'io', rows, reading: reading(rows) };
}

async function checked(echoed: ReturnType<Echo>, bytes: number): Promise<void> {
  if ((await echoed) !== bytes) throw new Error('The echo is not the input');
}

const plain = {
  ready: 'plain Extism, instance ready',
  fresh: 'plain Extism, fresh instance',
  worker: 'plain Extism, in its worker',
} as const;

async function start(wasm: Uint8Array): Promise<Contenders> {
  await using stack = new AsyncDisposableStack();
  const compiler = stack.use(await Compiler.start({ clock: systemClock, policy: modulePolicyDefault }));
  const limits = resolveLimits({}, {});
  const compiled = await compiler.compile({ bytes: wasm, digest: digestOf(wasm), memoryBytes: limits.memoryBytes });
  const module = await WebAssembly.compile(new Uint8Array(wasm));
  const ready = await createPlugin({ wasm: [{ module }] }, { useWasi: false });
  stack.defer(() => ready.close());
  const worker = await createPlugin({ wasm: [{ data: new Uint8Array(wasm) }] }, { useWasi: false, runInWorker: true });
  stack.defer(() => worker.close());
  const list = [
    {
      name: plain.ready,
      against: plain.ready,
      echo: async (input: Uint8Array) => (await ready.call('echo', input))?.bytes().length,
    },
    { name: plain.fresh, against: plain.fresh, echo: (input: Uint8Array) => echoFresh(module, input) },
    {
      name: plain.worker,
      against: plain.worker,
      echo: async (input: Uint8Array) => (await worker.call('echo', input))?.bytes().length,
    },
    { name: 'Caisson, instance ready', against: plain.ready, echo: await readyEcho(compiled) },
    { name: 'Caisson, fresh instance', against: plain.fresh, echo: (input: Uint8Array) => freshEcho(compiled, input) },
    {
      name: 'Caisson, fresh instance in its thread',
      against: plain.worker,
      echo: sandboxEcho(stack.use(await Sandbox.start({ clock: systemClock, id: 1 })), compiled, limits),
    },
  ];
  const owned = stack.move();
  return { list, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

async function echoFresh(module: WebAssembly.Module, input: Uint8Array): Promise<number | undefined> {
  const plugin = await createPlugin({ wasm: [{ module }] }, { useWasi: false });
  const output = await plugin.call('echo', input);
  await plugin.close();
  return output?.bytes().length;
}

const kernelBytes = 40 * 1_048_576;

interface Instance {
  readonly kernel: KernelMemory;
  readonly exports: WebAssembly.Exports;
  readonly echo: () => unknown;
}

/** Fuel that no run of this benchmark uses up. */
const plenty = 1n << 60n;

async function instance(compiled: CompiledPlugin): Promise<Instance> {
  const nothing = (): bigint => 0n;
  const host = Object.fromEntries(hostImports().map((name) => [name, nothing]));
  const { exports } = await link(
    { kernel: kernelModule(), guest: compiled.guest, adapter: compiled.adapter },
    { [hostModule]: host, [meterModule]: { [refuelName]: () => plenty } },
  );
  const kernel = new KernelMemory(exports);
  kernel.setLimit(kernelBytes);
  return { kernel, exports, echo: exports['echo'] as () => unknown };
}

function hostImports(): readonly string[] {
  return WebAssembly.Module.imports(kernelModule()).map(({ name }) => name);
}

async function readyEcho(compiled: CompiledPlugin): Promise<Echo> {
  const { kernel, echo, exports } = await instance(compiled);
  const setInput = exports[adapterName('set_input')] as (address: bigint, length: bigint) => void;
  const output = exports[adapterName('output_offset')] as WebAssembly.Global<'i64'>;
  return (input) => {
    const address = kernel.write(input) ?? 0n;
    setInput(address, BigInt(input.length));
    echo();
    const { length } = kernel.readOutput();
    kernel.free(output.value);
    kernel.free(address);
    return length;
  };
}

async function freshEcho(compiled: CompiledPlugin, input: Uint8Array): Promise<number> {
  const { kernel, echo } = await instance(compiled);
  kernel.setInput(input);
  echo();
  return kernel.readOutput().length;
}

function sandboxEcho(sandbox: Sandbox, plugin: CompiledPlugin, limits: RunLimits): Echo {
  const { signal } = new AbortController();
  return async (input) => {
    const call = {
      executionId: 'bench',
      plugin,
      functionName: 'echo',
      input,
      config: new Map<string, string>(),
      capabilities: [],
      limits,
    };
    const { outcome } = await sandbox.run(call, { signal, report: () => {} });
    return outcome.name === 'OK' ? outcome.output.length : undefined;
  };
}

function row(name: string, figure: Figure): Row {
  const us = (value: number): string => `${Math.round(value)} µs`;
  return {
    case: `echo ${name}`,
    contender: figure.name,
    figure: us(figure.medianUs),
    spread: `${us(figure.minUs)} to ${us(figure.maxUs)}`,
    ratio: figure.ratio,
  };
}

function reading(rows: readonly Row[]): readonly string[] {
  return rows
    .filter((row) => row.contender.startsWith('Caisson'))
    .map(
      (row) =>
        `${row.case}, ${row.contender}: ${row.ratio.toFixed(1)} times as fast as plain Extism in the same setting`,
    );
}
