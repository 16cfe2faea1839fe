/** What stands in for the registry's surroundings in tests: a clock moved by hand, a log that remembers, a compiler without a thread. */

import type { Clock } from '../../../src/base/clock.ts';
import { ExecError } from '../../../src/model/exec-error.ts';
import type { Log } from '../../../src/model/log.ts';
import type { Reason } from '../../../src/model/reasons.ts';
import type { CompileInput, CompiledPlugin, Compiler, ModuleAnalysis } from '../../../src/sandbox/compiler.ts';
import { analyseModule } from '../../../src/sandbox/thread/compile.ts';
import { modulePolicyDefault } from '../../../src/wasm/policy.ts';
import type { WasmProblem } from '../../../src/wasm/problem.ts';

/** A clock that stands still until it is moved. */
export class ManualClock implements Clock {
  #nowMs = 1_700_000_000_000;
  readonly #timers = new Set<{ readonly atMs: number; readonly callback: () => void }>();

  /** Timers that have not gone off. */
  get timers(): number {
    return this.#timers.size;
  }

  now(): number {
    return this.#nowMs;
  }

  monotonic(): number {
    return this.#nowMs;
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.after(ms, resolve));
  }

  after(ms: number, callback: () => void): Disposable {
    const timer = { atMs: this.#nowMs + ms, callback };
    this.#timers.add(timer);
    return { [Symbol.dispose]: () => this.#timers.delete(timer) };
  }

  advance(ms: number): void {
    this.#nowMs += ms;
    for (const timer of [...this.#timers].filter(({ atMs }) => atMs <= this.#nowMs)) {
      this.#timers.delete(timer);
      timer.callback();
    }
  }
}

export interface LogLine {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly fields: Readonly<Record<string, unknown>>;
  readonly text: string;
}

/** A log that keeps its lines. */
export class MemoryLog implements Log {
  readonly lines: LogLine[] = [];

  debug(fields: object, text: string): void {
    this.#add('debug', fields, text);
  }

  info(fields: object, text: string): void {
    this.#add('info', fields, text);
  }

  warn(fields: object, text: string): void {
    this.#add('warn', fields, text);
  }

  error(fields: object, text: string): void {
    this.#add('error', fields, text);
  }

  child(): Log {
    return this;
  }

  /** Texts of the lines of a level. */
  texts(level: LogLine['level']): readonly string[] {
    return this.lines.filter((line) => line.level === level).map(({ text }) => text);
  }

  #add(level: LogLine['level'], fields: object, text: string): void {
    this.lines.push({ level, fields: { ...fields }, text });
  }
}

const emptyModule = new WebAssembly.Module(Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0));

/** Analyses with the real code on this thread; compiles to empty modules. */
export class FakeCompiler implements Pick<Compiler, 'analyse' | 'compile' | 'identity'> {
  identity = 'fake';
  /** Digests compiled so far, with the limit of memory. */
  readonly compiled: string[] = [];
  analysed = 0;
  /** Thrown by the next calls of compile, first one first. */
  readonly compileFailures: ExecError[] = [];
  /** Thrown by the next calls of analyse, first one first. */
  readonly analyseFailures: ExecError[] = [];
  /** Found in every module beside what is there. */
  extraProblems: readonly WasmProblem[] = [];
  /** What compiling waits for. */
  compileGate: Promise<void> = Promise.resolve();

  async analyse(bytes: Uint8Array, memoryBytes: number): Promise<ModuleAnalysis> {
    this.analysed++;
    const failure = this.analyseFailures.shift();
    if (failure) throw failure;
    const request = { bytes: new Uint8Array(bytes), memoryBytes, policy: modulePolicyDefault };
    const analysis = analyseModule(request);
    return { ...analysis, problems: [...analysis.problems, ...this.extraProblems] };
  }

  async compile({ digest, memoryBytes, composed }: CompileInput): Promise<CompiledPlugin> {
    const key = `${digest}/${memoryBytes}`;
    this.compiled.push(key);
    await this.compileGate;
    const failure = this.compileFailures.shift();
    if (failure) throw failure;
    const { bytes: _bytes, ...facts } = composed;
    return { key, module: emptyModule, ...facts };
  }
}

/** The ExecError that something throws or rejects with; fails the test if it does not. */
export async function execErrorOf(work: () => unknown): Promise<ExecError> {
  try {
    await work();
  } catch (error) {
    if (error instanceof ExecError) return error;
    throw error;
  }
  throw new Error('expected an ExecError');
}

/** The reason of the ExecError that something throws or rejects with. */
export async function reasonOf(work: () => unknown): Promise<Reason> {
  return (await execErrorOf(work)).reason;
}
