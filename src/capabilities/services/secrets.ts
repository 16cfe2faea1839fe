/**
 * Answers secrets.get out of whatever source the operator has. Only names that
 * the grant has reach the source, and a value reaches nothing but the answer.
 */

import { ExecError } from '../../model/exec-error.ts';
import type { Grant } from '../../model/grant.ts';
import type { HostAnswer, OperationName } from '../../model/operation.ts';
import { exactText, shownText } from '../guest-text.ts';
import { secretNameBytesMax, secretValueBytesMax } from '../secret-bounds.ts';
import { deniedAnswer, quoted, type RulesOf } from './denied.ts';
import type { AskingRun, HostService } from './service.ts';
import { untilStopped } from './until-stopped.ts';

/** The value that the operator has set for a tenant's plugin; undefined for none. Only the texts of its ExecErrors are heeded: others could hold the value. */
export type SecretSource = (grant: Grant, name: string) => Promise<Uint8Array | undefined>;

/** Codes of the answer besides 0. */
const noneCode = 1;

export class SecretService implements HostService {
  readonly #source: SecretSource;
  readonly #rulesOf: RulesOf;

  constructor(source: SecretSource, rulesOf: RulesOf) {
    this.#source = source;
    this.#rulesOf = rulesOf;
  }

  async answer(operation: OperationName, request: Uint8Array, run: AskingRun): Promise<HostAnswer> {
    if (operation !== 'secrets.get') throw new TypeError(`"${operation}" is no operation of secrets`);
    const name = request.length <= secretNameBytesMax ? exactText(request) : undefined;
    if (name === undefined || !run.grant.secrets.includes(name))
      return this.#denied(run.grant, name ?? shownText(request, secretNameBytesMax));
    const value = await untilStopped(run.signal, () => this.#read(run.grant, name));
    return value === undefined ? { code: noneCode, payload: new Uint8Array() } : { code: 0, payload: value };
  }

  /** A copy. */
  async #read(grant: Grant, name: string): Promise<Uint8Array | undefined> {
    const value = await this.#source(grant, name).catch((error: unknown) => {
      throw error instanceof ExecError ? error : unreadable(name, codeOf(error));
    });
    if (value === undefined || value.length <= secretValueBytesMax) return value && new Uint8Array(value);
    throw unreadable(name, `it has ${value.length} bytes, more than the ${secretValueBytesMax} that a secret may have`);
  }

  #denied(grant: Grant, name: string): HostAnswer {
    const refused = {
      capability: 'secrets',
      wish: `read the secret ${quoted(name)}`,
      manifestLine: `${quoted(name)} in "secrets"`,
      policyLine: `${quoted(name)}: {"env": "VARIABLE"} in "secrets"`,
    } as const;
    return deniedAnswer(grant, refused, this.#rulesOf(grant));
  }
}

/** Without the error of the source as its cause: nobody knows what stands in its text. */
function unreadable(name: string, why: string): ExecError {
  return new ExecError('INTERNAL', `The secret ${quoted(name)} cannot be read`, { cause: new Error(why) });
}

/** The code of a failure of the system, such as ENOENT. */
function codeOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return /^[A-Z][A-Z_0-9]{1,39}$/.test(code) ? `its source failed with ${code}` : 'its source failed';
}
