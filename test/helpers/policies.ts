/** Policy files for servers under test. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface PolicyFile extends Disposable {
  readonly path: string;
  /** Its folder, for what the policy names. */
  readonly directory: string;
}

/** Writes a policy; the rules may depend on the folder that it is in. */
export function writePolicy(rulesOf: (directory: string) => readonly object[]): PolicyFile {
  const directory = mkdtempSync(join(tmpdir(), 'caisson-policy-'));
  const path = join(directory, 'policy.json');
  writeFileSync(path, JSON.stringify({ rules: rulesOf(directory) }));
  return { path, directory, [Symbol.dispose]: () => rmSync(directory, { recursive: true, force: true }) };
}

/** Everybody may do what stays within the server. */
export const everybody = {
  name: 'everybody',
  tenants: ['*'],
  plugins: ['*'],
  capabilities: ['config', 'vars', 'log', 'progress', 'clock', 'random', 'kv', 'usage', 'spans', 'invoke', 'wasi'],
  invoke: { plugins: ['*'] },
} as const;
