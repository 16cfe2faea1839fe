/**
 * From the beginning of an upload to the first result, by size of the module.
 * The floor is V8 itself in a process without a service: compile, instantiate, call.
 */

import { ExecutionService, Outcome } from '../../src/gen/caisson/v1/execution_pb.ts';
import type { BenchContext, Case } from '../context.ts';
import { messageOf } from '../contenders.ts';
import { Control } from '../control.ts';
import { generatedModule } from '../guests/generated.ts';
import { manifestOf } from '../guests.ts';
import { interleave, timedUs } from '../measure.ts';
import { missingRow, type Row } from '../report.ts';
import { rowsOf, usText } from '../rows.ts';

const sizes = [
  { name: '10 KB', bytes: 10_000 },
  { name: '100 KB', bytes: 100_000 },
  { name: '1 MB', bytes: 1_000_000 },
  { name: '10 MB', bytes: 10_000_000 },
];
const floorTitle = 'floor: WebAssembly.compile, instantiate, call';
const publishTitle = 'Caisson, publish';
const firstTitle = 'Caisson, publish to first result';

/** Times in microseconds. */
interface Cold {
  readonly floor: number;
  readonly publish: number;
  readonly first: number;
}

export const cold: Case = async (context) => {
  using control = await Control.open(await context.fleet.server('caisson'));
  const rows: Row[] = [];
  for (const size of context.quick ? sizes.slice(0, 3) : sizes)
    rows.push(...(await measureSize(context, control, size)));
  if (context.quick) rows.push(missingRow('10 MB', 'all', 'left out of the quick run'));
  return { name: 'cold', rows, reading: reading(rows) };
};

async function measureSize(
  { rounds }: BenchContext,
  control: Control,
  { name, bytes }: { readonly name: string; readonly bytes: number },
): Promise<readonly Row[]> {
  let seed = 0;
  const run = async (): Promise<Cold> => {
    seed++;
    const module = generatedModule(bytes, seed);
    const floor = await timedUs(() => runInV8(module));
    return { floor, ...(await publishAndRun(control, `cold-${bytes}-${seed}`, module)) };
  };
  try {
    const [samples = []] = await interleave([run], rounds);
    return rowsOf({ case: name, against: floorTitle, better: 'less', text: usText }, [
      { contender: floorTitle, samples: samples.map(({ floor }) => floor) },
      { contender: publishTitle, samples: samples.map(({ publish }) => publish) },
      { contender: firstTitle, samples: samples.map(({ first }) => first) },
    ]);
  } catch (error) {
    return [missingRow(name, firstTitle, messageOf(error))];
  }
}

async function runInV8(module: Uint8Array<ArrayBuffer>): Promise<void> {
  const instance = await WebAssembly.instantiate(await WebAssembly.compile(module));
  (instance.exports['run'] as () => number)();
}

async function publishAndRun(control: Control, name: string, module: Uint8Array): Promise<Omit<Cold, 'floor'>> {
  const begin = performance.now();
  await control.publish(manifestOf({ name, mode: 'fresh', functions: ['run'] }), module);
  const publish = (performance.now() - begin) * 1_000;
  const { execution } = await control.call(ExecutionService.method.execute, { plugin: name, function: 'run' });
  if (execution?.outcome !== Outcome.OK) throw new Error(`The outcome is ${execution?.outcome}`);
  return { publish, first: (performance.now() - begin) * 1_000 };
}

function reading(rows: readonly Row[]): readonly string[] {
  return rows
    .filter(({ contender, samples }) => contender === firstTitle && samples !== undefined)
    .map(({ case: name, figure, ratio }) => `${name}: ${figure}, ${(1 / ratio).toFixed(1)} times the floor`);
}
