/**
 * What a schema found in a document that people write, a manifest or a policy, in
 * words that tell its author what to mend, with the paths as the author spelled
 * them. Texts only; what is right and wrong stands in the schemas.
 */

import { suggestion } from '../base/near-names.ts';
import { type JsonPath, type JsonReading, pathText } from '../base/strict-json.ts';
import { singleLine } from '../base/text.ts';
import type { FieldViolation } from './exec-error.ts';

/** One finding of a schema, of the form that zod gives it. */
export interface SchemaIssue {
  readonly code: string;
  readonly path: readonly PropertyKey[];
  readonly message: string;
  readonly input?: unknown;
  readonly expected?: string;
  readonly values?: readonly unknown[];
  readonly keys?: readonly string[];
  readonly origin?: string;
  readonly minimum?: number | bigint;
  readonly maximum?: number | bigint;
  readonly issues?: readonly { readonly message: string }[];
}

/** How an author spelled what we call otherwise: paths in our spelling → the path as written. */
export type WrittenPaths = ReadonlyMap<string, JsonPath>;

/** The document that issues are about. */
export interface DocumentWords {
  /** What it is called, and the field of violations that concern the whole of it. */
  readonly name: string;
  readonly written: WrittenPaths;
  /** Keys that are not ours and yet well known, by path, and what to say of them. */
  readonly foreignKeys: ReadonlyMap<string, string>;
  /** The keys that the object at a path may have. */
  knownKeys(path: JsonPath): readonly string[];
}

/** The violations that one issue stands for. */
export function issueViolations(issue: SchemaIssue, words: DocumentWords): readonly FieldViolation[] {
  const path = writtenPath(issue.path as JsonPath, words.written);
  if (issue.code !== 'unrecognized_keys') return [violationAt(words.name, path, describe(issue))];
  const known = words.knownKeys(path);
  return (issue.keys ?? []).map((key) =>
    violationAt(words.name, [...path, key], describeUnknownKey([...path, key], known, words)),
  );
}

/** One violation at a path of the document of a name. */
export function violationAt(name: string, path: JsonPath, description: string): FieldViolation {
  return { field: path.length === 0 ? name : pathText(path), description };
}

/** What strict reading found: where it could not go on, and what it found on its way. */
export function readingViolations(name: string, { syntax, problems }: JsonReading): readonly FieldViolation[] {
  if (syntax) {
    const { line, column, message } = syntax;
    return [violationAt(name, [], `is not JSON: line ${line}, column ${column}: ${message}`)];
  }
  return problems.map(({ path, line, column, message }) =>
    violationAt(name, path, `line ${line}, column ${column}: ${message}`),
  );
}

function writtenPath(path: JsonPath, written: WrittenPaths): JsonPath {
  for (let length = path.length; length > 0; length--) {
    const start = written.get(pathText(path.slice(0, length)));
    if (start) return [...start, ...path.slice(length)];
  }
  return path;
}

function describeUnknownKey(path: JsonPath, known: readonly string[], words: DocumentWords): string {
  const foreign = words.foreignKeys.get(pathText(path));
  if (foreign !== undefined) return foreign;
  const key = String(path.at(-1));
  const ourSpelling = key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  return `is not a field of the ${words.name}${suggestion(known.includes(ourSpelling) ? ourSpelling : key, known)}`;
}

function describe(issue: SchemaIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      return issue.input === undefined ? 'is required' : `must be ${kindName(issue)}, but is ${shown(issue.input)}`;
    case 'invalid_value':
      return describeValue(issue);
    case 'too_big':
      return issue.message.startsWith('Too big') ? describeTooBig(issue) : issue.message;
    case 'too_small':
      return issue.message.startsWith('Too small') ? describeTooSmall(issue) : issue.message;
    case 'invalid_key':
      return issue.issues?.[0]?.message ?? issue.message;
    default:
      return issue.message;
  }
}

function describeValue({ values = [], input }: SchemaIssue): string {
  if (input === undefined) return 'is required';
  const names = values.map(String);
  const near = typeof input === 'string' ? suggestion(input, names) : '';
  return `must be one of ${names.map((name) => `"${name}"`).join(', ')}, but is ${shown(input)}${near}`;
}

function describeTooBig({ origin, maximum, input }: SchemaIssue): string {
  if (origin === 'array') return `must have at most ${maximum} items`;
  return `must be at most ${maximum}, the maximum of this server, but is ${shown(input)}`;
}

function describeTooSmall({ origin, minimum, input }: SchemaIssue): string {
  if (origin === 'string') return 'must not be empty';
  if (origin === 'array') return `must have at least ${minimum} ${minimum === 1 ? 'item' : 'items'}`;
  return `must be at least ${minimum}, but is ${shown(input)}; leave it out for the default`;
}

const kindNames: Readonly<Record<string, string>> = {
  string: 'a string',
  boolean: 'true or false',
  int: 'a whole number',
  number: 'a whole number',
  array: 'a list',
  object: 'an object',
  record: 'an object',
};

function kindName({ expected = '' }: SchemaIssue): string {
  return kindNames[expected] ?? expected;
}

const shownLength = 64;

/** A value as messages show it: one line, cut. */
export function shown(value: unknown): string {
  if (typeof value === 'string')
    return `"${singleLine(value.length > shownLength ? `${value.slice(0, shownLength).toWellFormed()}…` : value)}"`;
  if (Array.isArray(value)) return 'a list';
  return typeof value === 'object' && value !== null ? 'an object' : String(value);
}
