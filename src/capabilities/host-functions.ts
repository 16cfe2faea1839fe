/**
 * The host functions of all families as guests are linked with them: once per
 * thread, each serving whichever call runs. Every call of one is counted and
 * bounded, and none throws anything that a guest could catch: a fault of the host
 * is noted, and the guest is stopped. A family that was not granted is inert,
 * should a guest ever reach it.
 */

import {
  type CapabilityName,
  capabilities,
  capabilityNames,
  type HostFunctionType,
  kernelModule,
} from '../model/capability.ts';
import { type CallContext, type HostFamily, type HostFunction, RunStopped, stopped } from './call-context.ts';
import { clockFamily } from './clock.ts';
import { configFunctions } from './config.ts';
import { httpFamily } from './http.ts';
import { invokeFamily } from './invoke.ts';
import { kvFamily } from './kv.ts';
import { logFunctions } from './log.ts';
import { progressReporter } from './progress.ts';
import { randomFamily } from './random.ts';
import { secretsFamily } from './secrets.ts';
import { spansFamily } from './spans.ts';
import { isStackOverflow } from './stack-overflow.ts';
import { usageFamily } from './usage.ts';
import { varsFunctions } from './vars.ts';
import { wasiFamily } from './wasi/family.ts';

const families: Readonly<Record<CapabilityName, (call: CallContext) => HostFamily>> = {
  config: (call) => ({ functions: configFunctions(call) }),
  vars: (call) => ({ functions: varsFunctions(call) }),
  log: (call) => ({ functions: logFunctions(call) }),
  progress: progressReporter,
  clock: clockFamily,
  random: randomFamily,
  kv: kvFamily,
  http: httpFamily,
  secrets: secretsFamily,
  usage: usageFamily,
  spans: spansFamily,
  invoke: invokeFamily,
  wasi: wasiFamily,
};

/** The families of one call, each made when it is first used. */
export class CallFamilies {
  readonly call: CallContext;
  readonly #made = new Map<CapabilityName, HostFamily>();

  constructor(call: CallContext) {
    this.call = call;
  }

  /** Undefined if the family was not granted. */
  get(name: CapabilityName): HostFamily | undefined {
    const made = this.#made.get(name);
    if (made !== undefined || !this.call.grant.capabilities.includes(name)) return made;
    const family = families[name](this.call);
    this.#made.set(name, family);
    return family;
  }

  /** To be called once the guest has ended. */
  flush(): void {
    for (const family of this.#made.values()) family.flush?.();
  }

  /** What the guest put out other than through the kernel. */
  get output(): Uint8Array<ArrayBuffer> | undefined {
    for (const family of this.#made.values()) {
      const output = family.output?.();
      if (output !== undefined) return output;
    }
    return undefined;
  }
}

/** A host function as it is linked: any number of parameters. */
export type LinkedFunction = (...parameters: unknown[]) => number | bigint | void;

/** Host functions by module and name. */
export type LinkedModules = Readonly<Record<string, Readonly<Record<string, LinkedFunction>>>>;

/** All host functions; `current` gives the families of the call that runs. */
export function linkedFunctions(current: () => CallFamilies): LinkedModules {
  const modules: Record<string, Record<string, LinkedFunction>> = {};
  for (const family of capabilityNames) {
    const { module, functions } = capabilities[family];
    const linked = (modules[module] ??= {});
    for (const [name, type] of Object.entries<HostFunctionType>(functions)) {
      linked[name] = guarded({ current, family, name, type });
    }
  }
  return modules;
}

interface Place {
  readonly current: () => CallFamilies;
  readonly family: CapabilityName;
  readonly name: string;
  readonly type: HostFunctionType;
}

function guarded({ current, family, name, type }: Place): LinkedFunction {
  const onStop = answerWhenStopped(family, type);
  const whenInert = inertAnswer(name, type);
  return (...parameters) => {
    const families = current();
    const { call } = families;
    const fn = families.get(family)?.functions[name] as HostFunction & LinkedFunction;
    if (fn === undefined) return whenInert;
    call.meters.calls[family]++;
    if (++call.meters.hostCalls > call.limits.hostCalls) {
      call.stop('HOST_CALLS', `The guest made more host calls than limits.host_calls, ${call.limits.hostCalls}`);
      return onStop;
    }
    try {
      return fn(...parameters);
    } catch (error) {
      // The guest had used up the stack. V8 lets no guest catch this.
      if (isStackOverflow(error)) throw error;
      if (!(error instanceof RunStopped)) call.fault(error);
      return onStop;
    }
  };
}

/** The kernel traps on its sign; other functions give nothing, and the guest traps at its next check of fuel. */
function answerWhenStopped(family: CapabilityName, type: HostFunctionType): number | bigint {
  if (capabilities[family].module === kernelModule) return type.results[0] === 'i64' ? stopped.address : stopped.code;
  return type.results[0] === 'i64' ? 0n : 0;
}

/** Extism's number for "log nothing". */
const levelSilent = 0x7fffffff;

function inertAnswer(name: string, type: HostFunctionType): number | bigint {
  if (name === 'get_log_level') return levelSilent;
  return type.results[0] === 'i64' ? 0n : 0;
}
