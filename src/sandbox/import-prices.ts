/**
 * What calls of host functions and of the kernel cost in fuel, beyond the price
 * of any call of an import. A price keeps a call at 2 ns for a unit or less, as the
 * table of instructions does; docs/fuel.md shows it to people.
 */

import { capabilities, kernelModule, userModule } from '../model/capability.ts';
import type { ImportPrice } from '../wasm/metering/added-functions.ts';

/** Bytes of text or data that a host function handles for one unit. */
export const hostBytesPerUnit = 4;

/** A call into JavaScript that reads and writes blocks: 0.5 to 2 us. */
const lookUpUnits = 2_000;
/** A call that may end in a message to the main thread: 2 to 10 us. */
const messageUnits = 5_000;

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
];
