/** Reads the operator's policy from its file, once, when a server or a command starts. */

import { readFile } from 'node:fs/promises';
import { ExecError } from '../model/exec-error.ts';
import { Policy } from './policy.ts';

/** The policy of a file, or the built-in one without a file. Throws REQUEST_INVALID with everything that is wrong. */
export async function readPolicyFile(path: string | undefined): Promise<Policy> {
  if (path === undefined) return Policy.builtIn;
  const { policy, violations } = Policy.read(await textOf(path));
  if (policy) return policy;
  throw new ExecError('REQUEST_INVALID', `The policy "${path}" cannot be used`, { violations });
}

async function textOf(path: string): Promise<string> {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(await readFile(path));
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new ExecError('REQUEST_INVALID', `The policy "${path}" cannot be read: ${why}`, { cause: error });
  }
}
