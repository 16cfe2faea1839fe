/**
 * Runs one module in several forms side by side: as it was, metered in every way
 * there is, and metered naively. Everything that can be seen of them must be the
 * same, and all must have used the same fuel.
 */

import { inspectModule, type ModuleInfo } from '../../src/wasm/inspect.ts';
import type { CounterStrategy } from '../../src/wasm/metering/counter.ts';
import { prices } from '../../src/wasm/metering/costs.ts';
import { rewriteModule } from '../../src/wasm/rewrite.ts';
import type { ExternType, FunctionType } from '../../src/wasm/types.ts';
import { FuelHost } from './fuel-host.ts';
import { meterNaively, naiveCounter, naiveThrows } from './naive-meter.ts';

export const strategies: Readonly<Record<string, CounterStrategy>> = {
  global: { cached: false, sideExits: false, passed: false },
  cached: { cached: true, sideExits: false, passed: false },
  'side exits': { cached: true, sideExits: true, passed: false },
  passed: { cached: true, sideExits: true, passed: true },
  'passed and global': { cached: false, sideExits: false, passed: true },
};

const memoryBytesMax = 16 * 1024 * 1024;

export interface DifferentialOptions {
  /** Units for which a metered module asks at a time. */
  readonly slice?: bigint;
}

export interface DifferentialCounts {
  /** Calls of exports whose results, traps and host calls were compared. */
  calls: number;
  /** Of these, those whose fuel was compared with that of every other form. */
  fuel: number;
}

/** Throws an Error that says what differs. */
export function compareForms(bytes: Uint8Array<ArrayBuffer>, options: DifferentialOptions = {}): DifferentialCounts {
  const info = inspectModule(bytes);
  const forms = formsOf(bytes, info, options);
  const counts: DifferentialCounts = { calls: 0, fuel: 0 };
  // The engine itself throws when a vector would go to the host.
  const mayThrowUnseen = info.imports.some(({ type }) => type.kind === 'function' && type.parameters.includes('v128'));
  const started = forms.map((form) => form.start());
  if (!allEqual(started)) fail('the start', forms, started);
  if (started[0]?.startsWith('returns') !== true) return counts;
  for (const { name, type } of info.exports) {
    if (type.kind !== 'function' || !isCallable(type)) continue;
    const seen = forms.map((form) => form.call(name, type));
    const outcomes = seen.map(({ outcome }) => outcome);
    // How deep a stack may be depends on the code that V8 makes; what such a call leaves behind does, too.
    if (outcomes.some((outcome) => outcome.startsWith('overflows'))) return counts;
    counts.calls++;
    if (!allEqual(outcomes)) fail(`"${name}"`, forms, outcomes);
    if (outcomes[0]?.startsWith('traps')) continue;
    const fuel = seen.slice(1).map((one) => one.fuel);
    const threw = mayThrowUnseen || seen.some((one) => one.threw) || outcomes[0]?.startsWith('throws') === true;
    compareFuel(name, fuel, threw);
    counts.fuel++;
  }
  const ends = forms.map((form) => form.state());
  if (!allEqual(ends)) fail('what is left', forms, ends);
  return counts;
}

/** An exception leaves instructions undone that were paid for when their block began: then the naive count is less. */
function compareFuel(name: string, fuel: readonly bigint[], mayThrow: boolean): void {
  const naive = fuel.at(-1) as bigint;
  const metered = fuel.slice(0, -1);
  const [first = 0n] = metered;
  const right = allEqual(metered) && (mayThrow ? first >= naive : first === naive);
  if (!right) throw new Error(`The fuel of "${name}" differs: ${metered.join(', ')}; counted naively ${naive}`);
}

function allEqual(values: readonly unknown[]): boolean {
  return new Set(values).size === 1;
}

function fail(what: string, forms: readonly Form[], seen: readonly string[]): never {
  const lines = forms.map(({ name }, place) => `  ${name}: ${seen[place]?.slice(0, 400)}`);
  throw new Error(`The forms differ in ${what}:\n${lines.join('\n')}`);
}

const plainTypes = new Set(['i32', 'i64', 'f32', 'f64', 'externref', 'funcref', 'anyref', 'eqref']);

function isCallable({ parameters, results }: FunctionType): boolean {
  return (
    [...parameters, ...results].every((type) => type !== 'v128' && type !== 'exnref' && !type.startsWith('(ref ')) &&
    parameters.every((type) => plainTypes.has(type) || type.includes('null'))
  );
}

function formsOf(bytes: Uint8Array<ArrayBuffer>, info: ModuleInfo, { slice }: DifferentialOptions): readonly Form[] {
  const raw = rewriteModule(bytes, info, { memoryBytesMax });
  const naive = meterNaively(raw.bytes, 'instruction');
  const metered = Object.entries(strategies).map(([name, strategy]) => {
    const rewritten = rewriteModule(bytes, info, { memoryBytesMax, metering: { strategy } });
    return new Form(name, info, rewritten.bytes, new FuelHost(slice === undefined ? {} : { slice }));
  });
  return [new Form('raw', info, raw.bytes), ...metered, new Form('naive', info, naive)];
}

/** A module in one form, its instance, and what it did. */
class Form {
  readonly name: string;
  readonly #info: ModuleInfo;
  readonly #bytes: Uint8Array<ArrayBuffer>;
  readonly #host: FuelHost | undefined;
  #exports: WebAssembly.Exports = {};
  #log: string[] = [];
  #importCalls = 0n;
  #importThrows = 0n;

  constructor(name: string, info: ModuleInfo, bytes: Uint8Array<ArrayBuffer>, host?: FuelHost) {
    this.name = name;
    this.#info = info;
    this.#bytes = bytes;
    this.#host = host;
  }

  /** Instantiates the module and runs its start function. */
  start(): string {
    const guest = this.#imports();
    return this.#attempt(() => {
      const instance = new WebAssembly.Instance(
        new WebAssembly.Module(this.#bytes),
        this.#host?.imports(guest) ?? guest,
      );
      this.#host?.attach(instance);
      this.#exports = instance.exports;
      const start = this.#exports['caisson:start'];
      return typeof start === 'function' ? start() : undefined;
    });
  }

  /** Calls an export with arguments that depend on its type alone. */
  call(name: string, type: FunctionType): { readonly outcome: string; readonly fuel: bigint; readonly threw: boolean } {
    const before = this.#used();
    const thrown = this.#thrown();
    this.#log = [];
    const target = (this.#exports[name] ?? this.#exports[`caisson:${name}`]) as (...values: unknown[]) => unknown;
    const result = this.#attempt(() => target(...type.parameters.map(argumentOf)));
    const outcome = result.startsWith('overflows') ? result : [result, ...this.#log].join('; ');
    return { outcome, fuel: this.#used() - before, threw: this.#thrown() > thrown };
  }

  /** Memories and exported globals. */
  state(): string {
    return Object.entries(this.#exports)
      .filter(
        ([name]) => !name.startsWith('caisson:fuel') && !name.startsWith('caisson:grow') && !name.startsWith('naive:'),
      )
      .map(([name, value]) => `${name} ${stateOf(value)}`)
      .join(', ');
  }

  #used(): bigint {
    if (this.#host !== undefined) return this.#host.used;
    const counter = this.#exports[naiveCounter];
    const counted = counter instanceof WebAssembly.Global ? (counter.value as bigint) : 0n;
    return counted + this.#importCalls * BigInt(prices.importCall);
  }

  /** Exceptions so far: those of the guest, of which the naive form alone knows, and those of the host. */
  #thrown(): bigint {
    const thrown = this.#exports[naiveThrows];
    return this.#importThrows + (thrown instanceof WebAssembly.Global ? (thrown.value as bigint) : 0n);
  }

  #attempt(run: () => unknown): string {
    try {
      return `returns ${shown(run())}`;
    } catch (error) {
      if (error instanceof RangeError) return 'overflows';
      if (error instanceof WebAssembly.RuntimeError) return `traps: ${error.message}`;
      if (error instanceof WebAssembly.LinkError) return `does not link`;
      if (error instanceof WebAssembly.Exception) return 'throws';
      if (error instanceof TypeError) return 'throws a TypeError';
      throw error;
    }
  }

  #imports(): WebAssembly.Imports {
    const imports: Record<string, Record<string, WebAssembly.ImportValue>> = {};
    for (const { module, name, type } of this.#info.imports) {
      const value = this.#importOf(name, type);
      if (value !== undefined) (imports[module] ??= {})[name] = value;
    }
    return imports;
  }

  #importOf(name: string, type: ExternType): WebAssembly.ImportValue | undefined {
    switch (type.kind) {
      case 'function':
        return (...values: unknown[]) => {
          this.#importCalls++;
          this.#log.push(`${name}(${values.map(shown).join(', ')})`);
          if (name === 'throw') this.#importThrows++;
          if (name === 'throw') throw new WebAssembly.Exception(hostTag, []);
          return type.results.length > 1 ? type.results.map(argumentOf) : type.results.map(argumentOf)[0];
        };
      case 'global':
        return globalOf(type.valueType, type.mutable);
      case 'tag':
        return new WebAssembly.Tag({ parameters: type.parameters as WebAssembly.ValueType[] }) as never;
      default:
        return undefined;
    }
  }
}

const hostTag = new WebAssembly.Tag({ parameters: [] });

function argumentOf(type: string): unknown {
  if (type === 'i64') return 5n;
  return type === 'i32' || type === 'f32' || type === 'f64' ? 5 : null;
}

function globalOf(type: string, mutable: boolean): WebAssembly.ImportValue {
  if (type.startsWith('(ref ') && !type.startsWith('(ref null')) return {} as never;
  const value = type === 'funcref' || type === '(ref null func)' ? 'anyfunc' : type;
  return new WebAssembly.Global({ value: value as WebAssembly.ValueType, mutable }, argumentOf(type) as never);
}

function shown(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(shown).join(', ')}]`;
  if (typeof value === 'bigint') return `${value}n`;
  if (typeof value === 'number') return Object.is(value, -0) ? '-0' : String(value);
  return value === null || value === undefined ? String(value) : typeof value;
}

function stateOf(value: unknown): string {
  if (value instanceof WebAssembly.Memory)
    return `${value.buffer.byteLength} bytes, hash ${hashOf(new Uint8Array(value.buffer))}`;
  if (!(value instanceof WebAssembly.Global)) return typeof value;
  try {
    return shown(value.value);
  } catch {
    return 'unreadable';
  }
}

function hashOf(bytes: Uint8Array): number {
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length >> 2);
  let hash = 0x811c9dc5;
  for (const word of words) hash = Math.imul(hash ^ word, 0x01000193);
  return hash;
}
