/**
 * Capability "wasi": WASI preview 1 for one call, with files in memory. Whatever
 * a guest learns from outside the call is asked for through the call. Nothing is
 * left when the call ends.
 */

import { wasi } from '@bjorn3/browser_wasi_shim';
import type { CallContext, HostFamily, HostFunction } from '../call-context.ts';
import { DescriptorTable, inputRights, outputRights, preopenedRights } from './descriptors.ts';
import { fdFunctions } from './fd-functions.ts';
import { GuestMemory } from './guest-memory.ts';
import { OpenMemoryFolder } from './memory-handles.ts';
import { MemoryFolder } from './memory-nodes.ts';
import { OpenMountFolder } from './mount-handles.ts';
import { MountView } from './mount-view.ts';
import { pathFunctions } from './path-functions.ts';
import { programFunctions } from './program-functions.ts';
import { Quota } from './quota.ts';
import { answering } from './refusal.ts';
import { InputStream, LogStream, OutputStream } from './streams.ts';
import { timeFunctions } from './time-functions.ts';
import { Volume } from './volume.ts';

/** The export that makes a module a command: a program that reads the input and writes the output. */
const commandName = '_start';
/** So that a C library hands over each line of a plugin at once: its functions end without an exit, which would. */
const terminal = wasi.FILETYPE_CHARACTER_DEVICE;

const encoder = new TextEncoder();

export function wasiFamily(call: CallContext): HostFamily {
  const output = call.functionName === commandName ? new OutputStream(call) : new LogStream(call, 'info', terminal);
  const errors = new LogStream(call, 'warn', wasi.FILETYPE_UNKNOWN);
  const descriptors = new DescriptorTable(call.grant.wasi.descriptorsMax);
  descriptors.addFirst(new InputStream(call.input), inputRights);
  descriptors.addFirst(output, outputRights);
  descriptors.addFirst(errors, outputRights);
  addPreopened(call, descriptors);
  const context = { call, memory: new GuestMemory(call), descriptors };
  const functions = {
    ...programFunctions(context),
    ...timeFunctions(context),
    ...fdFunctions(context),
    ...pathFunctions(context),
  };
  return {
    functions: {
      ...Object.fromEntries(
        Object.entries(functions).map(([name, fn]): [string, HostFunction] => [name, answering(fn)]),
      ),
      proc_exit: (code: number) => call.exit(code >>> 0),
    },
    flush: () => {
      if (output instanceof LogStream) output.flush();
      errors.flush();
    },
    output: () => (output instanceof OutputStream ? output.written : undefined),
  };
}

/** The directory in memory, then the mounts. Standard streams come before. */
function addPreopened(call: CallContext, descriptors: DescriptorTable): void {
  const volume = new Volume(call);
  const { mounts, fileBytesMax } = call.grant.wasi;
  descriptors.addFirst(new OpenMemoryFolder(new MemoryFolder(volume, undefined)), preopenedRights, encoder.encode('/'));
  const kept = new Quota(fileBytesMax);
  for (const [index, { guestPath, name }] of mounts.entries()) {
    const view = new MountView({ call, volume, name, device: BigInt(index + 2), kept });
    descriptors.addFirst(new OpenMountFolder(view), preopenedRights, encoder.encode(guestPath));
  }
}
