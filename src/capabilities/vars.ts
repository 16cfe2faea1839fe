/**
 * Capability "vars": variables, kept while one call lasts, or in a session as long
 * as its instance. As in Extism's native runtime a full store stops the guest.
 */

import { type CallContext, type HostFunctions, stopped, type Variables } from './call-context.ts';
import { exactText } from './guest-text.ts';

export function noVariables(): Variables {
  return { values: new Map(), bytes: 0 };
}

export function varsFunctions(call: CallContext): HostFunctions {
  const { variables } = call;

  const remove = (name: string, nameBytes: number): void => {
    const value = variables.values.get(name);
    if (value === undefined) return;
    variables.bytes -= nameBytes + value.length;
    variables.values.delete(name);
  };

  /** Whether there was room. */
  const keep = (name: string, nameBytes: number, value: Uint8Array): boolean => {
    const before = variables.values.get(name);
    const bytesFreed = before === undefined ? 0 : nameBytes + before.length;
    const bytes = variables.bytes - bytesFreed + nameBytes + value.length;
    if (bytes > call.limits.varBytes) return false;
    call.chargeBytes(value.length);
    variables.values.set(name, value.slice());
    variables.bytes = bytes;
    return true;
  };

  const nameOf = (block: Uint8Array): string | undefined => {
    call.chargeBytes(block.length);
    return exactText(block);
  };

  const set = (key: bigint, value: bigint): number => {
    const nameBlock = call.blocks.view(key);
    const name = nameBlock && nameOf(nameBlock);
    if (nameBlock === undefined || name === undefined) return misused(call, 'whose name is not a block of UTF-8 text');
    const nameBytes = nameBlock.length;
    if (value === 0n) {
      remove(name, nameBytes);
      return 0;
    }
    const valueBlock = call.blocks.view(value);
    if (valueBlock === undefined) return misused(call, 'whose value is not a block');
    if (keep(name, nameBytes, valueBlock)) return 0;
    call.stop('GUEST_ERROR', `Variable store is full: it holds at most ${call.limits.varBytes} bytes`);
    return stopped.code;
  };

  return {
    /** A new block with the variable's value, or 0. Frees the key. */
    var_get(key: bigint): bigint {
      const nameBlock = call.blocks.view(key);
      const name = nameBlock && nameOf(nameBlock);
      const value = name === undefined ? undefined : variables.values.get(name);
      call.blocks.free(key);
      if (value === undefined) return 0n;
      call.chargeBytes(value.length);
      const block = call.blocks.write(value);
      if (block !== undefined) return block;
      call.stop('KERNEL_MEMORY', 'No kernel memory is left for the value of a variable');
      return stopped.address;
    },

    /** Keeps a copy of the value, or forgets the variable if the value is 0. Frees key and value. */
    var_set(key: bigint, value: bigint): number {
      const code = set(key, value);
      call.blocks.free(value);
      call.blocks.free(key);
      return code;
    },
  };
}

function misused(call: CallContext, how: string): number {
  call.stop('TRAP', `The guest set a variable ${how}`);
  return stopped.code;
}
