/** The values of secrets, read where the policy says that they are. Whoever starts the server hands in how. */

import type { SecretSource } from './rule.ts';

export interface SecretReader {
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Rejects if the file cannot be read. */
  readFile(path: string): Promise<Uint8Array>;
}

/** Bytes of one secret. */
export const secretBytesMax = 65_536;

const [lineFeed, carriageReturn] = [0x0a, 0x0d];

/**
 * A secret's value; undefined if there is no such variable or file. One line end at
 * the end of a file does not belong to it. Rejects if the file cannot be read or is
 * too long; neither text says what is in it.
 */
export async function readSecret(source: SecretSource, reader: SecretReader): Promise<Uint8Array | undefined> {
  if ('env' in source) {
    const value = reader.environment[source.env];
    return value === undefined ? undefined : bounded(new TextEncoder().encode(value), `variable "${source.env}"`);
  }
  const bytes = await reader.readFile(source.file).catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  });
  return bytes && bounded(withoutLineEnd(bytes), `file "${source.file}"`);
}

function withoutLineEnd(bytes: Uint8Array): Uint8Array {
  if (bytes.at(-1) !== lineFeed) return bytes;
  return bytes.subarray(0, bytes.at(-2) === carriageReturn ? -2 : -1);
}

function bounded(bytes: Uint8Array, where: string): Uint8Array {
  if (bytes.length <= secretBytesMax) return bytes;
  throw new Error(`The secret in ${where} has ${bytes.length} bytes, more than the ${secretBytesMax} allowed`);
}
