/** Entry of a sandbox's thread. It answers one message after the other, and prepares instances in between. */

import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { assert } from '../../base/assert.ts';
import { systemClock } from '../../base/clock.ts';
import type { Outcome } from '../../model/outcome.ts';
import { type CallReport, ControlBlock, instanceSources } from '../control-block.ts';
import { pluginsHeldMax } from '../plugins-held.ts';
import type {
  CallMessage,
  CompiledPlugin,
  FromSandbox,
  InstanceCounts,
  PluginMessage,
  PostedOutcome,
  ReadyMessage,
  SandboxData,
  ToSandbox,
  WarmMessage,
} from '../protocol.ts';
import { errorData } from '../refusal.ts';
import { Received } from '../remembered.ts';
import { transferBytesMin } from '../transfer.ts';
import { type CallResult, runCall } from './call.ts';
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
const remembered = new Received();
const emptyConfig: ReadonlyMap<string, string> = new Map();
const emptySeed = new Uint8Array();
/** The main side decides which are kept. */
const plugins = new Map<string, CompiledPlugin>();
/** How often instances are looked at that nobody may call any more. */
const sweepMs = 30_000;

function post(message: FromSandbox, transfer: readonly ArrayBuffer[] = []): void {
  port.postMessage(message, transfer);
}

/**
 * How long the thread waits for the next message by itself before it goes back to
 * the event loop, and how long it may stay away from it. Waking it out of the loop
 * takes ten times as long as waking it here (30 us against 3 us).
 */
const listenMs = 5;
const awayMsMax = 50;

function handle(message: ToSandbox): void {
  switch (message.type) {
    case 'call':
      answer({
        ...message,
        config: message.config ?? emptyConfig,
        grant: remembered.resolve(message.grant),
        limits: remembered.resolve(message.limits),
        randomSeed: message.randomSeed ?? emptySeed,
      });
      return;
    case 'warm':
      warm(message);
      return;
    case 'forget':
      forget(message.pluginKey);
  }
}

/** Handles messages as they come, until none has come for a while. */
function listen(): void {
  const leaveMs = systemClock.monotonic() + awayMsMax;
  while (systemClock.monotonic() < leaveMs) {
    const received = receiveMessageOnPort(port) as { readonly message: ToSandbox } | undefined;
    if (received !== undefined) handle(received.message);
    else if (!controlBlock.waitForBell(listenMs)) return;
  }
  // V8 and timers have their turn; messages that have come meanwhile are events.
  systemClock.after(0, listen);
}

function answer(message: CallMessage): void {
  const plugin = pluginOf(message);
  let garbageBytes = 0;
  try {
    const result = runCall(message, plugin, { services, instances });
    garbageBytes = result.garbageBytes;
    report(result, instances.counts(plugin.key));
    const outcome = postedOutcome(result.outcome);
    const isLarge = outcome.name === 'OK' && outcome.output.length >= transferBytesMin;
    const transfer = isLarge ? [outcome.output.buffer] : [];
    controlBlock.callOver();
    post({ type: 'ended', outcome, profile: result.profile }, transfer);
  } catch (error) {
    garbageBytes = controlBlock.meters.memoryPeakBytes;
    controlBlock.callOver();
    post({ type: 'failed', error: errorData(error) });
  }
  prepareNext(plugin, message);
  // Later, because until this function has returned the instance may still be reachable.
  if (isMuchGarbage(garbageBytes)) systemClock.after(0, () => countGarbage(garbageBytes));
}

function report({ outcome: { usage }, timings }: CallResult, counts: InstanceCounts): void {
  controlBlock.meters.fuel = usage.fuel;
  Object.assign(controlBlock.report, {
    instanceSource: instanceSources.indexOf(usage.instanceSource),
    fuelIsLowerBound: usage.fuelIsLowerBound ? 1 : 0,
    outputBytes: usage.outputBytes,
    ...timings,
    ...counts,
  } satisfies CallReport);
}

function postedOutcome(outcome: Outcome): PostedOutcome {
  // A copy that belongs to nobody else.
  if (outcome.name === 'OK') return { name: 'OK', output: outcome.output as Uint8Array<ArrayBuffer> };
  const { name, error } = outcome;
  return { name, error };
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

function forget(pluginKey: string): void {
  plugins.delete(pluginKey);
  instances.forget(pluginKey);
}

function pluginOf({ forget: forgotten, plugin, pluginKey }: PluginMessage): CompiledPlugin {
  if (forgotten !== undefined) forget(forgotten);
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
  handle(message);
  listen();
});
sweepLater();
port.postMessage({ type: 'ready' } satisfies ReadyMessage);
