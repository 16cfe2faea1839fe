/**
 * What zod found in a manifest, in words that tell an author what to mend and
 * with the paths as the author spelled them. Texts only; what is right and wrong
 * stands in manifest-schema.ts.
 */

import type { z } from 'zod';
import { singleLine } from '../base/text.ts';
import type { FieldViolation } from '../model/exec-error.ts';
import { suggestion } from './near-names.ts';
import { type JsonPath, pathText } from './strict-json.ts';

type Issue = z.core.$ZodIssue;

/** How an author spelled what we call otherwise: paths in our spelling → the path as written. */
export type WrittenPaths = ReadonlyMap<string, JsonPath>;

/** The violations that one issue stands for; `knownKeys` lists the keys that the object at a path may have. */
export function issueViolations(
  issue: Issue,
  context: { readonly written: WrittenPaths; readonly knownKeys: (path: JsonPath) => readonly string[] },
): readonly FieldViolation[] {
  const path = writtenPath(issue.path as JsonPath, context.written);
  if (issue.code !== 'unrecognized_keys') return [violation(path, describe(issue))];
  const known = context.knownKeys(path);
  return issue.keys.map((key) => violation([...path, key], describeUnknownKey([...path, key], known)));
}

/** One violation at a path of the manifest. */
export function violation(path: JsonPath, description: string): FieldViolation {
  return { field: path.length === 0 ? 'manifest' : pathText(path), description };
}

function writtenPath(path: JsonPath, written: WrittenPaths): JsonPath {
  for (let length = path.length; length > 0; length--) {
    const start = written.get(pathText(path.slice(0, length)));
    if (start) return [...start, ...path.slice(length)];
  }
  return path;
}

/** Words of Extism's manifest that have no meaning here, and why. */
const foreignKeys: ReadonlyMap<string, string> = new Map([
  ['wasm', 'is not a field of this manifest: the module is uploaded beside it'],
  ['memory.max_http_response_bytes', 'has no meaning here: http is not offered by this server'],
  ['memory.maxHttpResponseBytes', 'has no meaning here: http is not offered by this server'],
]);

function describeUnknownKey(path: JsonPath, known: readonly string[]): string {
  const foreign = foreignKeys.get(pathText(path));
  if (foreign !== undefined) return foreign;
  const key = String(path.at(-1));
  const ourSpelling = key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  return `is not a field of the manifest${suggestion(known.includes(ourSpelling) ? ourSpelling : key, known)}`;
}

function describe(issue: Issue): string {
  switch (issue.code) {
    case 'invalid_type':
      return issue.input === undefined
        ? 'is required'
        : `must be ${kindNames[issue.expected] ?? issue.expected}, but is ${shown(issue.input)}`;
    case 'invalid_value':
      return `must be one of ${issue.values.map((value) => `"${String(value)}"`).join(', ')}, but is ${shown(issue.input)}`;
    case 'too_big':
      return issue.message.startsWith('Too big') ? describeTooBig(issue) : issue.message;
    case 'too_small':
      return issue.message.startsWith('Too small') ? describeTooSmall(issue) : issue.message;
    case 'invalid_key':
      return issue.issues[0]?.message ?? issue.message;
    default:
      return issue.message;
  }
}

function describeTooBig(issue: z.core.$ZodIssueTooBig): string {
  if (issue.origin === 'array') return `must have at most ${issue.maximum} items`;
  return `must be at most ${issue.maximum}, the maximum of this server, but is ${shown(issue.input)}`;
}

function describeTooSmall(issue: z.core.$ZodIssueTooSmall): string {
  if (issue.origin === 'string') return 'must not be empty';
  return `must be at least ${issue.minimum}, but is ${shown(issue.input)}; leave it out for the default`;
}

const kindNames: Readonly<Record<string, string>> = {
  string: 'a string',
  int: 'a whole number',
  number: 'a whole number',
  array: 'a list',
  object: 'an object',
  record: 'an object',
};

const shownLength = 64;

/** A value as messages show it: one line, cut. */
export function shown(value: unknown): string {
  if (typeof value === 'string')
    return `"${singleLine(value.length > shownLength ? `${value.slice(0, shownLength).toWellFormed()}…` : value)}"`;
  if (Array.isArray(value)) return 'a list';
  return typeof value === 'object' && value !== null ? 'an object' : String(value);
}
