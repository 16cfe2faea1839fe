/** Reads the operator's policy from its file, once, when a server or a command starts. */

import { readFile } from 'node:fs/promises';
import { ExecError } from '../model/exec-error.ts';
import { Policy } from './policy.ts';

/** What a policy's file held when it was read. */
export interface PolicyText {
  readonly path: string;
  readonly text: string;
}

/** The policy of a file, or the built-in one without a file. Throws REQUEST_INVALID with everything that is wrong. */
export async function readPolicyFile(path: string | undefined): Promise<Policy> {
  return policyOf(await readPolicyText(path));
}

/** The file's text, for policyOf; undefined without a file. Throws REQUEST_INVALID if it cannot be read. */
export async function readPolicyText(path: string | undefined): Promise<PolicyText | undefined> {
  return path === undefined ? undefined : { path, text: await textOf(path) };
}

/** As readPolicyFile, of what was read before. */
export function policyOf(file: PolicyText | undefined): Policy {
  if (file === undefined) return Policy.builtIn;
  const { path, text } = file;
  const { policy, violations } = Policy.read(text);
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
