/** The forms of one module that are measured beside each other: as it is, metered, and metered naively. */

import { inspectModule } from '../../src/wasm/inspect.ts';
import { rewriteModule } from '../../src/wasm/rewrite.ts';
import { FuelHost } from '../../test/helpers/fuel-host.ts';
import { meterNaively } from '../../test/helpers/naive-meter.ts';
import type { Subject } from './subject.ts';

export type Form = 'raw' | 'metered' | 'naive';
export const forms: readonly Form[] = ['raw', 'metered', 'naive'];

const memoryBytesMax = 1 << 26;

/** The bytes of a subject in a form. The raw one is rewritten, too, but its code is as it was. */
export function formOf(form: Form, { bytes }: Subject): Uint8Array<ArrayBuffer> {
  const options = form === 'metered' ? { memoryBytesMax, metering: {} } : { memoryBytesMax };
  const rewritten = rewriteModule(bytes, inspectModule(bytes), options).bytes;
  return form === 'naive' ? meterNaively(rewritten, 'block') : rewritten;
}

/** Starts a subject in a form; what comes back does its work so many times. */
export function startForm(form: Form, subject: Subject): (turns: number) => number {
  const { lifecycle } = rewriteModule(subject.bytes, inspectModule(subject.bytes), { memoryBytesMax });
  const module = new WebAssembly.Module(formOf(form, subject));
  return subject.start((imports) => {
    const host = new FuelHost();
    const instance = new WebAssembly.Instance(module, form === 'metered' ? host.imports(imports) : imports);
    if (form === 'metered') host.attach(instance);
    for (const name of lifecycle) (instance.exports[name] as () => void)();
    return instance;
  });
}
