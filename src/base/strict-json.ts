/**
 * JSON read strictly: a syntax error names its line and column, a key that
 * stands twice in one object is reported, nesting is bounded, and every string
 * is well-formed. Knows nothing of what it means.
 */

import { singleLine } from './text.ts';

export type JsonPath = readonly (string | number)[];

export interface JsonProblem {
  readonly path: JsonPath;
  readonly line: number;
  readonly column: number;
  readonly message: string;
}

export interface JsonReading {
  /** Undefined only if `syntax` is there. */
  readonly value: unknown;
  /** Where reading could not go on. */
  readonly syntax: JsonProblem | undefined;
  /** Keys that stand twice, and keys that no object may have. The first value counts. */
  readonly problems: readonly JsonProblem[];
}

const depthMax = 16;
const problemsMax = 100;

const blank = /[ \t\n\r]*/y;
// oxlint-disable-next-line no-control-regex
const string = /"[^"\\\u0000-\u001f]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\u0000-\u001f]*)*"/y;
const number = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const literal = /true|false|null/y;

/** Reads one JSON text. Never throws. */
export function readJson(text: string): JsonReading {
  const reader = new JsonReader(text);
  try {
    return { value: reader.document(), syntax: undefined, problems: reader.problems };
  } catch (error) {
    if (!(error instanceof JsonSyntaxError)) throw error;
    return { value: undefined, syntax: error.problem, problems: reader.problems };
  }
}

/** A path as people write it: limits.output_bytes, capabilities[2], config["a b"]. */
export function pathText(path: JsonPath): string {
  return path.map(stepText).join('').replace(/^\./, '');
}

/** Whether a value of JSON is an object. */
export function isObject(value: unknown): value is Record<string | number, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function stepText(step: string | number): string {
  if (typeof step === 'number') return `[${step}]`;
  return /^[A-Za-z_][\w-]*$/.test(step) ? `.${step}` : `["${singleLine(step.slice(0, 128).toWellFormed())}"]`;
}

class JsonSyntaxError extends Error {
  readonly problem: JsonProblem;

  constructor(problem: JsonProblem) {
    super(problem.message);
    this.problem = problem;
  }
}

class JsonReader {
  readonly problems: JsonProblem[] = [];
  readonly #text: string;
  readonly #path: (string | number)[] = [];
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  document(): unknown {
    const value = this.#value();
    this.#skipBlank();
    if (this.#at < this.#text.length) this.#fail('expected the end of the text');
    return value;
  }

  #value(): unknown {
    this.#skipBlank();
    if (this.#path.length > depthMax) this.#fail(`nested deeper than ${depthMax} levels`);
    const first = this.#text[this.#at];
    if (first === '{') return this.#object();
    if (first === '[') return this.#array();
    if (first === '"') return this.#string();
    const scalar = this.#match(number) ?? this.#match(literal);
    return scalar === undefined ? this.#fail('expected a value') : JSON.parse(scalar);
  }

  #object(): Record<string, unknown> {
    const object: Record<string, unknown> = {};
    this.#at++;
    if (this.#take('}')) return object;
    do this.#member(object);
    while (this.#take(','));
    if (!this.#take('}')) this.#fail('expected "," or "}"');
    return object;
  }

  #member(object: Record<string, unknown>): void {
    this.#skipBlank();
    const keyAt = this.#at;
    if (this.#text[keyAt] !== '"') this.#fail('expected a key in double quotes');
    const key = this.#string();
    if (!this.#take(':')) this.#fail('expected ":"');
    this.#path.push(key);
    const refusal = this.#keyRefusal(object, key);
    if (refusal !== undefined) this.#report(keyAt, refusal);
    const value = this.#value();
    if (refusal === undefined) object[key] = value;
    this.#path.pop();
  }

  #keyRefusal(object: object, key: string): string | undefined {
    if (key === '__proto__') return 'this key is not allowed';
    return Object.hasOwn(object, key) ? 'this key stands twice: keep one' : undefined;
  }

  #array(): unknown[] {
    const array: unknown[] = [];
    this.#at++;
    if (this.#take(']')) return array;
    do {
      this.#path.push(array.length);
      array.push(this.#value());
      this.#path.pop();
    } while (this.#take(','));
    if (!this.#take(']')) this.#fail('expected "," or "]"');
    return array;
  }

  #string(): string {
    const start = this.#at;
    const written =
      this.#match(string) ?? this.#fail('this string does not end, or holds a control character or a wrong escape');
    const value = JSON.parse(written) as string;
    if (!value.isWellFormed()) {
      this.#at = start;
      this.#fail('this string holds half of a surrogate pair');
    }
    return value;
  }

  #take(mark: string): boolean {
    this.#skipBlank();
    const found = this.#text[this.#at] === mark;
    if (found) this.#at++;
    return found;
  }

  #skipBlank(): void {
    this.#match(blank);
  }

  #match(form: RegExp): string | undefined {
    form.lastIndex = this.#at;
    const found = form.exec(this.#text)?.[0];
    this.#at += found?.length ?? 0;
    return found;
  }

  #fail(message: string): never {
    const found = String.fromCodePoint(this.#text.codePointAt(this.#at) ?? 0).toWellFormed();
    const what = this.#at < this.#text.length ? `found "${singleLine(found)}"` : 'the text ends';
    throw new JsonSyntaxError(this.#problem(this.#at, `${message}, but ${what}`));
  }

  #report(at: number, message: string): void {
    if (this.problems.length < problemsMax) this.problems.push(this.#problem(at, message));
  }

  #problem(at: number, message: string): JsonProblem {
    const before = this.#text.slice(0, at);
    const line = before.split('\n').length;
    return { path: [...this.#path], line, column: at - before.lastIndexOf('\n'), message };
  }
}
