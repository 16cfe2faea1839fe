/**
 * The host functions of one call, of all families. Each is counted, and none
 * throws anything that a guest could catch: a fault of the host is noted, and the
 * guest is stopped. A family that was not granted is inert, should a guest ever
 * reach it.
 */

import { type CapabilityName, capabilities, capabilityNames, type HostFunctionType } from '../model/capability.ts';
import { type CallContext, type HostFunction, type HostFunctions, stopped } from './call-context.ts';
import { configFunctions } from './config.ts';
import { logFunctions } from './log.ts';
import { progressReporter } from './progress.ts';
import { isStackOverflow } from './stack-overflow.ts';
import { varsFunctions } from './vars.ts';

/** A host function as it is linked. None has more than three parameters. */
export type LinkedFunction = (first: unknown, second: unknown, third: unknown) => number | bigint | void;

export interface CallFunctions {
  /** By import module, then by name. */
  readonly modules: Readonly<Record<string, Readonly<Record<string, LinkedFunction>>>>;
  /** To be called once the guest has ended. */
  flush(): void;
}

export function callFunctions(call: CallContext, granted: readonly CapabilityName[]): CallFunctions {
  const progress = progressReporter(call);
  const families: Readonly<Record<CapabilityName, HostFunctions>> = {
    config: configFunctions(call),
    vars: varsFunctions(call),
    log: logFunctions(call),
    progress: progress.functions,
  };
  const modules: Record<string, Record<string, LinkedFunction>> = {};
  for (const family of capabilityNames) {
    const { module, functions } = capabilities[family];
    const linked = (modules[module] ??= {});
    for (const [name, type] of Object.entries<HostFunctionType>(functions)) {
      const fn = granted.includes(family) ? families[family][name] : undefined;
      linked[name] = fn === undefined ? inert(name, type) : guarded(call, fn, type);
    }
  }
  return { modules, flush: progress.flush };
}

function guarded(call: CallContext, hostFunction: HostFunction, type: HostFunctionType): LinkedFunction {
  const fn = hostFunction as LinkedFunction;
  const onFault = type.results[0] === 'i64' ? stopped.address : stopped.code;
  return (first, second, third) => {
    call.meters.hostCalls++;
    try {
      return fn(first, second, third);
    } catch (error) {
      // The guest had used up the stack. V8 lets no guest catch this.
      if (isStackOverflow(error)) throw error;
      call.fault(error);
      return onFault;
    }
  };
}

/** Extism's number for "log nothing". */
const levelSilent = 0x7fffffff;

function inert(name: string, type: HostFunctionType): LinkedFunction {
  const answer = name === 'get_log_level' ? levelSilent : type.results[0] === 'i64' ? 0n : 0;
  return () => answer;
}
