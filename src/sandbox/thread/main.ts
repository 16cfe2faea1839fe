/** Entry of a sandbox's thread. It answers one message after the other, and prepares instances in between. */

import { parentPort, workerData } from 'node:worker_threads';
import { assert } from '../../base/assert.ts';
import { systemClock } from '../../base/clock.ts';
import { ControlBlock } from '../control-block.ts';
import { pluginsHeldMax } from '../plugins-held.ts';
import type {
  CallMessage,
  CompiledPlugin,
  FromSandbox,
  PluginMessage,
  ReadyMessage,
  SandboxData,
  ToSandbox,
  WarmMessage,
} from '../protocol.ts';
import { errorData } from '../refusal.ts';
import { runCall } from './call.ts';
import type { CallServices } from './call-services.ts';
import { eventSink } from './event-sink.ts';
import { countGarbage, isMuchGarbage } from './garbage.ts';
import { keepStackFrames } from './guest-stack.ts';
import { HostCaller } from './host-caller.ts';
import { Instances } from './instances.ts';
import { Preparation } from './preparation.ts';
import { Running } from './running.ts';
import { warmUpCall } from './warm-up-call.ts';

assert(parentPort, 'This file runs in a thread');
const port = parentPort;
const { control, answers, warmUp } = workerData as SandboxData;
const controlBlock = new ControlBlock(control);
const services: CallServices = {
  control: controlBlock,
  events: eventSink(controlBlock, (event) => post({ type: 'event', event })),
  clock: systemClock,
  running: new Running(),
  host: new HostCaller({ control: controlBlock, answers, post }),
};
const instances = new Instances(new Preparation(services), systemClock);
/** The main side decides which are kept. */
const plugins = new Map<string, CompiledPlugin>();
/** How often instances are looked at that nobody may call any more. */
const sweepMs = 30_000;

function post(message: FromSandbox, transfer: readonly ArrayBuffer[] = []): void {
  port.postMessage(message, transfer);
}

function answer(message: CallMessage): void {
  const plugin = pluginOf(message);
  let garbageBytes = controlBlock.meters.memoryPeakBytes;
  try {
    const result = runCall(message, plugin, { services, instances });
    const { outcome, timings, profile } = result;
    garbageBytes = result.garbageBytes;
    const transfer = outcome.name === 'OK' ? [outcome.output.buffer as ArrayBuffer] : [];
    controlBlock.callOver();
    post({ type: 'ended', outcome, timings, profile, counts: instances.counts(plugin.key) }, transfer);
  } catch (error) {
    controlBlock.callOver();
    post({ type: 'failed', error: errorData(error) });
  }
  prepareNext(plugin, message);
  // Later, because until this function has returned the instance may still be reachable.
  if (isMuchGarbage(garbageBytes)) systemClock.after(0, () => countGarbage(garbageBytes));
}

function prepareNext(plugin: CompiledPlugin, { limits, instance }: CallMessage): void {
  if (instance.mode !== 'session' && !controlBlock.isCallPending) {
    instances.prepare(plugin, { limits, warm: instance.warm });
  }
}

function warm(message: WarmMessage): void {
  const plugin = pluginOf(message);
  instances.prepare(plugin, message);
  post({ type: 'warmed', counts: instances.counts(plugin.key) });
}

function pluginOf({ forget, plugin, pluginKey }: PluginMessage): CompiledPlugin {
  if (forget !== undefined) {
    plugins.delete(forget);
    instances.forget(forget);
  }
  if (plugin !== undefined) plugins.set(pluginKey, plugin);
  assert(plugins.size <= pluginsHeldMax, `The thread holds at most ${pluginsHeldMax} plugins`);
  const held = plugins.get(pluginKey);
  assert(held, `The thread holds plugin "${pluginKey}"`);
  return held;
}

function sweepLater(): void {
  systemClock.after(sweepMs, () => {
    instances.sweep();
    sweepLater();
  });
}

keepStackFrames();
runCall(warmUpCall(warmUp), warmUp, { services, instances });
port.on('message', (message: ToSandbox) => {
  switch (message.type) {
    case 'call':
      answer(message);
      return;
    case 'warm':
      warm(message);
  }
});
sweepLater();
port.postMessage({ type: 'ready' } satisfies ReadyMessage);
