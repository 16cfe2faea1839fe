/** Entry of a sandbox's thread. It answers one message after the other. */

import { parentPort, workerData } from 'node:worker_threads';
import { assert } from '../../base/assert.ts';
import { systemClock } from '../../base/clock.ts';
import { ControlBlock } from '../control-block.ts';
import { pluginsHeldMax } from '../plugins-held.ts';
import type { CallMessage, CompiledPlugin, FromSandbox, ReadyMessage, SandboxData, ToSandbox } from '../protocol.ts';
import { errorData } from '../refusal.ts';
import { type CallServices, runCall } from './call.ts';
import { eventSink } from './event-sink.ts';
import { rememberModuleLists } from './extism.ts';
import { countGarbage } from './garbage.ts';
import { keepStackFrames } from './guest-stack.ts';
import { warmUpCall } from './warm-up-call.ts';

assert(parentPort, 'This file runs in a thread');
const port = parentPort;
const { kernel, control, warmUp } = workerData as SandboxData;
const controlBlock = new ControlBlock(control);
const services: CallServices = {
  kernel,
  control: controlBlock,
  events: eventSink(controlBlock, (event) => post({ type: 'event', event })),
  clock: systemClock,
};
/** The main side decides which are kept. */
const plugins = new Map<string, CompiledPlugin>();

function post(message: FromSandbox, transfer: readonly ArrayBuffer[] = []): void {
  port.postMessage(message, transfer);
}

async function answer(message: CallMessage): Promise<void> {
  let instanceBytes = 0;
  try {
    const { outcome, timings, profile } = await runCall(message, pluginOf(message), services);
    instanceBytes = controlBlock.meters.memoryPeakBytes;
    const transfer = outcome.name === 'OK' ? [outcome.output.buffer as ArrayBuffer] : [];
    post({ type: 'ended', outcome, timings, profile }, transfer);
  } catch (error) {
    post({ type: 'failed', error: errorData(error) });
  }
  // Later, because until this function has returned the instance may still be reachable.
  systemClock.after(0, () => countGarbage(instanceBytes));
}

function pluginOf({ forget, plugin, pluginKey }: CallMessage): CompiledPlugin {
  if (forget !== undefined) plugins.delete(forget);
  if (plugin !== undefined) plugins.set(pluginKey, plugin);
  assert(plugins.size <= pluginsHeldMax, `The thread holds at most ${pluginsHeldMax} plugins`);
  const held = plugins.get(pluginKey);
  assert(held, `The thread holds plugin "${pluginKey}"`);
  return held;
}

keepStackFrames();
rememberModuleLists();
await runCall(warmUpCall(warmUp), warmUp, services);
port.on('message', (message: ToSandbox) => {
  switch (message.type) {
    case 'call':
      void answer(message);
  }
});
port.postMessage({ type: 'ready' } satisfies ReadyMessage);
