/**
 * Functions of the program as a whole: arguments, environment, its end, chance, and
 * what there is none of. Arguments and environment come from the configuration of
 * the call.
 */

import { wasi } from '@bjorn3/browser_wasi_shim';
import { fixedLimits } from '../../model/limits.ts';
import type { CallContext } from '../call-context.ts';
import { askRandom } from './outside.ts';
import { refuse, type WasiFunctions } from './refusal.ts';
import type { WasiCall } from './wasi-call.ts';

/** Key of the configuration that holds arguments after the first, which is the function's name: a JSON array of strings. */
const argsKey = 'args';
/** Configuration whose key begins so is a variable of the environment, named by the rest of the key. */
const variablePrefix = 'env.';

const signalMax = 30;
const encoder = new TextEncoder();

export function programFunctions(context: WasiCall): WasiFunctions {
  const { call, memory } = context;
  let args: readonly Uint8Array[] | undefined;
  let variables: readonly Uint8Array[] | undefined;
  const argsOfCall = (): readonly Uint8Array[] => (args ??= argsOf(call));
  const variablesOfCall = (): readonly Uint8Array[] => (variables ??= variablesOf(call));

  return {
    args_get(pointers: number, buffer: number): void {
      writeStrings(context, argsOfCall(), { pointers, buffer });
    },

    args_sizes_get(count: number, bytes: number): void {
      memory.expectRoom(bytes, 4);
      memory.setU32(count, argsOfCall().length);
      memory.setU32(bytes, bytesOf(argsOfCall()));
    },

    environ_get(pointers: number, buffer: number): void {
      writeStrings(context, variablesOfCall(), { pointers, buffer });
    },

    environ_sizes_get(count: number, bytes: number): void {
      memory.expectRoom(bytes, 4);
      memory.setU32(count, variablesOfCall().length);
      memory.setU32(bytes, bytesOf(variablesOfCall()));
    },

    proc_raise(signal: number): void {
      if (signal === wasi.SIGNAL_NONE || signal > signalMax) refuse(wasi.ERRNO_INVAL);
      call.stop('TRAP', `The guest raised signal ${signal}`);
    },

    random_get(pointer: number, length: number): void {
      memory.expectRoom(pointer, length);
      for (let at = 0; at < length; at += fixedLimits.randomBytes) {
        const bytes = askRandom(call, Math.min(length - at, fixedLimits.randomBytes));
        call.chargeBytes(bytes.length);
        memory.write(pointer + at, bytes);
      }
    },

    /** There is nobody to yield to. */
    sched_yield(): void {},

    sock_accept: noSockets,
    sock_recv: noSockets,
    sock_send: noSockets,
    sock_shutdown: noSockets,
  };
}

function noSockets(): void {
  refuse(wasi.ERRNO_NOTSUP);
}

function argsOf(call: CallContext): readonly Uint8Array[] {
  const given = call.config.get(argsKey);
  const more = given === undefined ? [] : stringsIn(given);
  if (more === undefined) {
    call.stop('TRAP', `The configuration "${argsKey}" is not a JSON array of strings without zero bytes`);
    refuse(wasi.ERRNO_INVAL);
  }
  return [call.functionName, ...more].map((text) => encoder.encode(text));
}

/** By name, so that their order does not depend on how the configuration was put together. */
function variablesOf({ config }: CallContext): readonly Uint8Array[] {
  return [...config.entries()]
    .filter(([key]) => key.startsWith(variablePrefix))
    .map(([key, value]): [string, string] => [key.slice(variablePrefix.length), value])
    .filter(([name, value]) => name !== '' && !name.includes('=') && !`${name}${value}`.includes('\0'))
    .toSorted(([one], [other]) => (one < other ? -1 : 1))
    .map(([name, value]) => encoder.encode(`${name}=${value}`));
}

function stringsIn(json: string): readonly string[] | undefined {
  try {
    const value: unknown = JSON.parse(json);
    return Array.isArray(value) && value.every(isArgument) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isArgument(value: unknown): value is string {
  return typeof value === 'string' && !value.includes('\0');
}

/** Bytes of the strings, each with the zero byte that ends it. */
function bytesOf(strings: readonly Uint8Array[]): number {
  return strings.reduce((sum, { length }) => sum + length + 1, 0);
}

interface StringsPlace {
  /** Of the array of pointers. */
  readonly pointers: number;
  /** Of the strings themselves. */
  readonly buffer: number;
}

function writeStrings({ call, memory }: WasiCall, strings: readonly Uint8Array[], place: StringsPlace): void {
  const bytes = bytesOf(strings);
  memory.expectRoom(place.pointers, strings.length * 4);
  memory.expectRoom(place.buffer, bytes);
  call.chargeBytes(bytes + strings.length * 4);
  let at = place.buffer;
  for (const [index, string] of strings.entries()) {
    memory.setU32(place.pointers + index * 4, at);
    memory.write(at, string);
    memory.write(at + string.length, Uint8Array.of(0));
    at += string.length + 1;
  }
}
