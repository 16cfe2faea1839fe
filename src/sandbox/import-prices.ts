/**
 * What calls of host functions and of the kernel cost in fuel, beyond the price
 * of any call of an import. A price keeps a call at 2 ns for a unit or less, as the
 * table of instructions does; docs/fuel.md shows it to people.
 */

import { capabilities, type CapabilityName, kernelModule, userModule } from '../model/capability.ts';
import type { ImportPrice } from '../wasm/metering/added-functions.ts';

/** Bytes of text or data that a host function handles for one unit. */
export const hostBytesPerUnit = 4;

/** A call into JavaScript that reads and writes blocks: 0.5 to 2 us. */
const lookUpUnits = 2_000;
/** A call that may end in a message to the main thread: 2 to 10 us. */
const messageUnits = 5_000;
/** A call that the main thread answers: 10 to 30 us, of which the guest's thread works the smaller part. */
const askUnits = 20_000;
/** A request to another machine, or a call of another plugin: hundreds of microseconds in the main thread. */
const requestUnits = 500_000;

function pricesOf(family: CapabilityName, units: number): readonly ImportPrice[] {
  const { module, functions } = capabilities[family];
  return Object.keys(functions).map((name) => ({ module, name, units }));
}

const logPrices = Object.keys(capabilities.log.functions).map(
  (name): ImportPrice => ({
    module: kernelModule,
    name,
    units: name === 'get_log_level' ? 100 : messageUnits,
  }),
);

export const importPrices: readonly ImportPrice[] = [
  // Zeroing: 16 bytes a unit, as memory.fill costs.
  { module: kernelModule, name: 'alloc', units: 50, perOperand: { operand: 0, amount: 16 } },
  { module: kernelModule, name: 'config_get', units: lookUpUnits },
  { module: kernelModule, name: 'var_get', units: lookUpUnits },
  { module: kernelModule, name: 'var_set', units: lookUpUnits },
  ...logPrices,
  { module: userModule, name: 'progress', units: messageUnits },
  ...pricesOf('clock', lookUpUnits),
  ...pricesOf('random', lookUpUnits),
  ...pricesOf('kv', askUnits),
  ...pricesOf('secrets', askUnits),
  ...pricesOf('usage', lookUpUnits),
  ...pricesOf('spans', messageUnits),
  ...pricesOf('wasi', lookUpUnits),
  { module: userModule, name: 'invoke', units: requestUnits },
  { module: userModule, name: 'invoke_error', units: lookUpUnits },
  { module: kernelModule, name: 'http_request', units: requestUnits },
  { module: kernelModule, name: 'http_status_code', units: 100 },
  { module: kernelModule, name: 'http_headers', units: lookUpUnits },
];
