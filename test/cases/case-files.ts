/**
 * Cases as data: which function of which plugin gets which input, and what must
 * come of it. Read strictly, so that a misspelt expectation is an error and not
 * an expectation less.
 */

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Text; or bytes in base64; or a text repeated after a head. */
export type Bytes =
  | string
  | { readonly base64: string }
  | { readonly repeat: string; readonly times: number; readonly head?: string };

export interface Case {
  readonly name: string;
  readonly function: string;
  readonly input?: Bytes;
  readonly config?: Readonly<Record<string, string>>;
  readonly limits?: { readonly timeout_ms?: number; readonly memory_bytes?: number; readonly output_bytes?: number };
  readonly expect: Expectation;
}

export interface Expectation {
  readonly outcome: string;
  readonly output?: Bytes | { readonly json: unknown };
  readonly error?: { readonly kind: string; readonly message?: string };
  /** All log lines, in order. */
  readonly logs?: readonly { readonly level: string; readonly message: string }[];
  /** Progress events that the guest reported, at least. */
  readonly progress_min?: number;
  /** The last progress; a fraction that is absent is one that the guest did not know. */
  readonly last_progress?: { readonly fraction?: number; readonly message: string };
}

/** A plugin that must not be published. */
export interface Refusal {
  readonly reason: string;
  /** A part of the message or of a violation. */
  readonly message: string;
}

export interface CaseFolder {
  readonly name: string;
  readonly manifestText: string;
  readonly cases: readonly Case[];
  readonly refusal: Refusal | undefined;
  /** Text of the module, where it is not one of the built examples. */
  readonly moduleText: string | undefined;
}

const caseKeys = ['name', 'function', 'input', 'config', 'limits', 'expect'];
const limitKeys = ['timeout_ms', 'memory_bytes', 'output_bytes'];
const expectationKeys = ['outcome', 'output', 'error', 'logs', 'progress_min', 'last_progress'];

/** The folders of test/cases: plugin.json, module.wat, and cases.json or refused.json. */
export function caseFolders(directory: string): readonly CaseFolder[] {
  return readdirSync(directory, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => {
      const folder = join(directory, name);
      const refusalFile = join(folder, 'refused.json');
      const isRefused = existsSync(refusalFile);
      return {
        name,
        manifestText: readFileSync(join(folder, 'plugin.json'), 'utf8'),
        moduleText: readFileSync(join(folder, 'module.wat'), 'utf8'),
        cases: isRefused ? [] : readCases(join(folder, 'cases.json')),
        refusal: isRefused ? (readJson(refusalFile) as Refusal) : undefined,
      };
    });
}

/** The example plugins with their cases; their modules are built. */
export function exampleFolders(directory: string, names: readonly string[]): readonly CaseFolder[] {
  return names.map((name) => {
    const casesFolder = join(directory, name, 'cases');
    const files = readdirSync(casesFolder).filter((file) => file.endsWith('.json'));
    return {
      name,
      manifestText: readFileSync(join(directory, name, 'plugin.json'), 'utf8'),
      moduleText: undefined,
      cases: files.flatMap((file) => readCases(join(casesFolder, file))),
      refusal: undefined,
    };
  });
}

function readCases(path: string): readonly Case[] {
  const cases = readJson(path) as readonly Case[];
  for (const one of cases) {
    refuseUnknown(one, caseKeys, `${path}: ${one.name}`);
    refuseUnknown(one.limits ?? {}, limitKeys, `${path}: ${one.name}: limits`);
    refuseUnknown(one.expect, expectationKeys, `${path}: ${one.name}: expect`);
  }
  return cases;
}

function readJson(path: string): unknown {
  return JSON.parse(readFileSync(path, 'utf8'));
}

function refuseUnknown(object: object, known: readonly string[], where: string): void {
  const unknown = Object.keys(object).filter((key) => !known.includes(key));
  if (unknown.length > 0) throw new Error(`${where} has unknown keys: ${unknown.join(', ')}`);
}

export function bytesOf(form: Bytes): Uint8Array {
  if (typeof form === 'string') return Buffer.from(form);
  if ('base64' in form) return Buffer.from(form.base64, 'base64');
  return Buffer.from((form.head ?? '') + form.repeat.repeat(form.times));
}
