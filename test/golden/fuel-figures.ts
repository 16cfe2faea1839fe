/** What running a small module costs: its figure of fuel, as anyone who runs it gets it. */

import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { inspectModule } from '../../src/wasm/inspect.ts';
import type { ImportPrice } from '../../src/wasm/metering/added-functions.ts';
import { rewriteModule } from '../../src/wasm/rewrite.ts';
import { FuelHost } from '../helpers/fuel-host.ts';

/** Figures by the name of the module, and the version of the prices that they were counted with. */
export interface FuelFigures {
  readonly costTableVersion: number;
  readonly figures: Readonly<Record<string, number>>;
}

const directory = join(import.meta.dirname, 'fuel');

export const goldenFigures = JSON.parse(readFileSync(join(directory, 'figures.json'), 'utf8')) as FuelFigures;

/** Texts of the golden modules, by name. */
export function goldenTexts(): ReadonlyMap<string, string> {
  const files = readdirSync(directory).filter((file) => file.endsWith('.wat'));
  return new Map(files.map((file) => [basename(file, '.wat'), readFileSync(join(directory, file), 'utf8')]));
}

const memoryBytesMax = 1 << 24;
const host = { plain: () => {}, priced: () => {} };
const importPrices: readonly ImportPrice[] = [
  { module: 'host', name: 'plain', units: 30 },
  { module: 'host', name: 'priced', units: 0, perOperand: { operand: 0, amount: 16 } },
];

/** The fuel of a module's start and of one call of its function "run". */
export function fuelOfRun(bytes: Uint8Array<ArrayBuffer>, ...given: readonly number[]): number {
  const metering = { importPrices };
  const { bytes: metered, lifecycle } = rewriteModule(bytes, inspectModule(bytes), { memoryBytesMax, metering });
  const fuel = new FuelHost();
  const instance = new WebAssembly.Instance(new WebAssembly.Module(metered), fuel.imports({ host }));
  fuel.attach(instance);
  for (const name of lifecycle) (instance.exports[name] as () => void)();
  (instance.exports['run'] as (...values: readonly number[]) => unknown)(...given);
  return Number(fuel.used);
}
