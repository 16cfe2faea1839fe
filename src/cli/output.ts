/**
 * Where the command writes: results to stdout, all else to stderr. A reader of
 * stdout that goes away is no error. Knows nothing of what is written.
 */

import type { Writable } from 'node:stream';
import { boundedText, singleLine } from '../base/text.ts';

/** A stream that may be a terminal. */
export type Sink = Writable & { readonly isTTY?: boolean; readonly columns?: number };

const cellBytesMax = 8 * 1_024;
const columnsDefault = 100;

export class Output {
  readonly #stdout: Sink;
  readonly #stderr: Sink;
  readonly #closed = new AbortController();

  constructor(stdout: Sink, stderr: Sink) {
    this.#stdout = stdout;
    this.#stderr = stderr;
    stdout.on('error', () => this.#closed.abort());
    // Nobody is left to be told.
    stderr.on('error', () => {});
  }

  /** Aborts when nobody reads stdout any more. */
  get closed(): AbortSignal {
    return this.#closed.signal;
  }

  get stderr(): Sink {
    return this.#stderr;
  }

  get columns(): number {
    return this.#stdout.columns ?? columnsDefault;
  }

  /** Writes text as it is. */
  print(text: string): void {
    if (!this.#closed.signal.aborted) this.#stdout.write(text);
  }

  line(text: string): void {
    this.print(`${text}\n`);
  }

  /** One JSON value, over several lines; `isLine` puts it on one. */
  json(value: unknown, options: { readonly isLine?: boolean } = {}): void {
    this.line(JSON.stringify(value, undefined, options.isLine === true ? undefined : 2));
  }

  /** Writes bytes as they are and waits until they have left the process. */
  bytes(bytes: Uint8Array): Promise<void> {
    if (this.#closed.signal.aborted) return Promise.resolve();
    return new Promise((resolve) => this.#stdout.write(bytes, () => resolve()));
  }

  /** The same, and on a terminal a line end after bytes that have none, so that the prompt does not follow them. */
  async result(bytes: Uint8Array): Promise<void> {
    await this.bytes(bytes);
    if (this.#stdout.isTTY === true && bytes.length > 0 && bytes.at(-1) !== 0x0a) this.print('\n');
  }

  /** A line beside the result. */
  note(text: string): void {
    this.#stderr.write(`${text}\n`);
  }
}

/** Text from a server or a guest, made fit for a terminal: one line, no control characters, bounded. */
export function shown(text: string): string {
  return singleLine(boundedText(text, cellBytesMax));
}

/** Columns of text, each as wide as its widest cell, two spaces between them. Cells are made fit for a terminal. */
export function tableText(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const cells = [header, ...rows].map((row) => row.map(shown));
  const widths = header.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  const lines = cells.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
  return `${lines.join('\n')}\n`;
}

/** "name: value" lines with the values below each other; entries without a value are left out. */
export function factsText(facts: readonly (readonly [name: string, value: string | undefined])[]): string {
  const present = facts.filter(([, value]) => value !== undefined && value !== '');
  const width = Math.max(0, ...present.map(([name]) => name.length));
  return present.map(([name, value]) => `${`${name}:`.padEnd(width + 2)}${shown(value ?? '')}\n`).join('');
}
