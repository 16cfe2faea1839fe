/** Reads a run's input: a file, stdin, or nothing. Bounded by what any plugin can take. */

import { createReadStream } from 'node:fs';
import type { Readable } from 'node:stream';
import { runLimitRanges } from '../model/limits.ts';
import type { CliDependencies } from './dependencies.ts';
import { UsageError } from './failure.ts';
import { sizeText } from './forms.ts';
import { systemText } from './module-files.ts';

const inputBytesMax = runLimitRanges.inputBytes.max;

/**
 * `source` is a path, "-" for stdin, false for no input, or undefined: then stdin
 * if it is not a terminal, else nothing. Throws UsageError.
 */
export async function readInput(source: string | false | undefined, { stdin }: CliDependencies): Promise<Uint8Array> {
  if (source === false || (source === undefined && stdin.isTTY === true)) return new Uint8Array();
  if (source === undefined || source === '-') return readAll(stdin, 'stdin');
  return readAll(createReadStream(source), `"${source}"`);
}

async function readAll(stream: Readable, what: string): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  try {
    for await (const chunk of stream) {
      const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : (chunk as Uint8Array);
      length += bytes.length;
      if (length > inputBytesMax)
        throw new UsageError(`Input from ${what} has more than ${sizeText(inputBytesMax)}: no plugin takes that much`);
      chunks.push(bytes);
    }
  } catch (error) {
    throw error instanceof UsageError ? error : new UsageError(`Cannot read input from ${what}: ${systemText(error)}`);
  }
  return Buffer.concat(chunks);
}
