/** Modules run with the family as it is, without a sandbox: instantiated directly, over a call that is fake but for its memory. */

import { clockAnswers } from '../../../../src/capabilities/local/clock.ts';
import { randomAnswers, randomStream } from '../../../../src/capabilities/local/random.ts';
import { wasiAnswers } from '../../../../src/capabilities/local/wasi.ts';
import type { HostFamily } from '../../../../src/capabilities/call-context.ts';
import { wasiFamily } from '../../../../src/capabilities/wasi/family.ts';
import { wasiModule } from '../../../../src/model/capability.ts';
import type { HostAnswer, OperationName } from '../../../../src/model/operation.ts';
import { ManualClock } from '../../base/manual-clock.ts';
import { type FakeCall, type FakeCallOptions, fakeCall } from '../fakes.ts';

export type Answerer = (operation: OperationName, request: Uint8Array) => HostAnswer;

/** Answers of one run that the guest's own thread gives, from a clock that stands still and a seed. */
export function localAnswers(): Answerer {
  const answers = wasiAnswers(clockAnswers(new ManualClock()), randomAnswers(randomStream(Uint8Array.of(0))));
  return (operation, request) => {
    if (operation !== 'wasi.clock' && operation !== 'wasi.random') throw new Error(`Nobody answers "${operation}"`);
    return answers[operation](request);
  };
}

/** Thrown where the sandbox stops a guest. */
class Ended extends Error {}

export interface Run {
  readonly call: FakeCall;
  readonly family: HostFamily;
  /** The code of proc_exit; undefined if the guest returned. */
  readonly code: number | undefined;
  /** What the function answered, if it returned. */
  readonly answer: unknown;
  readonly output: string | undefined;
  /** Lines of log as "level text". */
  readonly log: readonly string[];
}

/** Runs one function of a module to its end. */
export function runWasi(module: Uint8Array<ArrayBuffer>, options: FakeCallOptions = {}): Run {
  const call = fakeCall({ functionName: '_start', answer: localAnswers(), ...options });
  const family = wasiFamily(call);
  const imports = { [wasiModule]: stoppable(family, call) };
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(module), imports);
  const memory = exports['memory'] as WebAssembly.Memory;
  Object.defineProperty(call, 'memory', { get: () => new Uint8Array(memory.buffer) });
  const answer = called(exports, '_initialize', call.functionName);
  family.flush?.();
  const output = family.output?.();
  return {
    call,
    family,
    code: call.exits[0],
    answer,
    output: output && Buffer.from(output).toString(),
    log: call.sent.map((event) => (event.type === 'log' ? `${event.level} ${event.message}` : event.type)),
  };
}

/** The functions, which end the guest as the sandbox would once it was stopped. */
function stoppable(family: HostFamily, call: FakeCall): Record<string, WebAssembly.ImportValue> {
  return Object.fromEntries(
    Object.entries(family.functions).map(([name, fn]) => [
      name,
      (...parameters: never[]) => {
        const answer = fn(...parameters);
        if (call.exits.length > 0 || call.stops.length > 0) throw new Ended();
        return answer;
      },
    ]),
  );
}

function called(exports: WebAssembly.Exports, ...names: readonly string[]): unknown {
  try {
    return names.map((name) => (exports[name] as (() => unknown) | undefined)?.()).at(-1);
  } catch (error) {
    if (error instanceof Ended) return undefined;
    throw error;
  }
}
