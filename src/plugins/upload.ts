/**
 * Receives one upload: checks its header, collects its chunks into exactly the
 * bytes announced and checks their SHA-256. Looks neither at manifest nor at
 * module.
 */

import { createHash } from 'node:crypto';
import type { Clock } from '../base/clock.ts';
import { type Digest, isDigest } from '../base/digest.ts';
import { onAbort } from '../base/signals.ts';
import { ExecError, type FieldViolation } from '../model/exec-error.ts';
import { fixedLimits } from '../model/limits.ts';
import { abortError } from './aborted.ts';
import type { PluginBounds } from './bounds.ts';

export interface PluginUploadHeader {
  readonly manifestText: string;
  /** 64 hex digits, with or without "sha256:" before them. */
  readonly sha256: string;
  readonly sizeBytes: number;
}

export interface Upload {
  readonly manifestText: string;
  /** The module; nobody else holds its buffer. */
  readonly bytes: Uint8Array;
  readonly digest: Digest;
}

export interface UploadOptions {
  readonly clock: Clock;
  readonly bounds: Pick<PluginBounds, 'moduleBytesMax' | 'uploadIdleMsMax' | 'uploadMsMax'>;
  readonly signal: AbortSignal;
}

/** The upload, complete and with the digest that its header announces. */
export async function receiveUpload(
  header: PluginUploadHeader,
  chunks: AsyncIterable<Uint8Array>,
  options: UploadOptions,
): Promise<Upload> {
  const announced = checkHeader(header, options.bounds.moduleBytesMax);
  const bytes = new Uint8Array(header.sizeBytes);
  const hash = createHash('sha256');
  let received = 0;
  for await (const chunk of withoutPauses(chunks, options)) {
    checkChunk(chunk, { received, announced: bytes.length });
    hash.update(chunk);
    bytes.set(chunk, received);
    received += chunk.length;
  }
  if (received < bytes.length) {
    throw new ExecError(
      'UPLOAD_INCOMPLETE',
      `The upload ended after ${received} of the ${bytes.length} bytes announced`,
    );
  }
  const digest: Digest = `sha256:${hash.digest('hex')}`;
  if (digest !== announced) {
    throw new ExecError(
      'DIGEST_MISMATCH',
      `The header announces the digest "${announced}", but the module has "${digest}"`,
    );
  }
  return { manifestText: header.manifestText, bytes, digest };
}

function checkHeader(header: PluginUploadHeader, moduleBytesMax: number): Digest {
  const written = header.sha256.toLowerCase();
  const digest = written.startsWith('sha256:') ? written : `sha256:${written}`;
  const violations = headerViolations(header, digest);
  const [first] = violations;
  if (first) throw new ExecError('REQUEST_INVALID', `${first.field}: ${first.description}`, { violations });
  if (header.sizeBytes > moduleBytesMax) {
    throw new ExecError(
      'UPLOAD_TOO_LARGE',
      `The header announces ${header.sizeBytes} bytes; this server takes modules of at most ${moduleBytesMax} bytes`,
    );
  }
  return digest as Digest;
}

function headerViolations(header: PluginUploadHeader, digest: string): readonly FieldViolation[] {
  const violations: FieldViolation[] = [];
  const manifestBytes = Buffer.byteLength(header.manifestText);
  if (manifestBytes === 0) violations.push({ field: 'header.manifest', description: 'is required' });
  if (manifestBytes > fixedLimits.manifestBytes) {
    const description = `must have at most ${fixedLimits.manifestBytes} bytes, but has ${manifestBytes}`;
    violations.push({ field: 'header.manifest', description });
  }
  if (!isDigest(digest)) {
    const description =
      header.sha256 === '' ? 'is required' : 'must be 64 hex digits, with or without "sha256:" before them';
    violations.push({ field: 'header.sha256', description });
  }
  if (!Number.isSafeInteger(header.sizeBytes) || header.sizeBytes <= 0) {
    violations.push({
      field: 'header.size_bytes',
      description: 'must be the number of bytes of the module, greater than 0',
    });
  }
  return violations;
}

function checkChunk(chunk: Uint8Array, progress: { readonly received: number; readonly announced: number }): void {
  if (chunk.length === 0) throw new ExecError('UPLOAD_MALFORMED', `The chunk at byte ${progress.received} is empty`);
  if (chunk.length > fixedLimits.chunkBytes) {
    const most = fixedLimits.chunkBytes;
    throw new ExecError(
      'UPLOAD_MALFORMED',
      `The chunk at byte ${progress.received} has ${chunk.length} bytes; at most ${most} are allowed`,
    );
  }
  if (progress.received + chunk.length > progress.announced) {
    throw new ExecError('UPLOAD_TOO_LARGE', `The upload goes on after the ${progress.announced} bytes announced`);
  }
}

/** The chunks, ended by UPLOAD_STALLED when the next one or the last one is late, and at once when the signal aborts. */
async function* withoutPauses(chunks: AsyncIterable<Uint8Array>, options: UploadOptions): AsyncGenerator<Uint8Array> {
  const endMs = options.clock.monotonic() + options.bounds.uploadMsMax;
  const iterator = chunks[Symbol.asyncIterator]();
  let ended = false;
  try {
    for (;;) {
      const next = await nextChunk(iterator, { ...options, endMs });
      ended = next.done === true;
      if (next.done === true) return;
      yield next.value;
    }
  } finally {
    // Not awaited: a sender that has stalled would hold us up here too.
    if (!ended) iterator.return?.().catch(() => {});
  }
}

async function nextChunk(
  iterator: AsyncIterator<Uint8Array>,
  options: UploadOptions & { readonly endMs: number },
): Promise<IteratorResult<Uint8Array>> {
  const { clock, signal, bounds, endMs } = options;
  const { promise, resolve, reject } = Promise.withResolvers<IteratorResult<Uint8Array>>();
  const waitMs = Math.min(bounds.uploadIdleMsMax, Math.max(0, endMs - clock.monotonic()));
  using _timer = clock.after(waitMs, () => reject(stalled(bounds, waitMs)));
  using _listening = onAbort(signal, () => reject(abortError(signal)));
  if (!signal.aborted) {
    iterator.next().then(resolve, (error) => reject(signal.aborted ? abortError(signal) : error));
  }
  return await promise;
}

function stalled(bounds: UploadOptions['bounds'], waitedMs: number): ExecError {
  const { uploadIdleMsMax, uploadMsMax } = bounds;
  if (waitedMs < uploadIdleMsMax) {
    return new ExecError('UPLOAD_STALLED', `The upload was not complete after ${uploadMsMax / 1_000} s`);
  }
  return new ExecError('UPLOAD_STALLED', `No chunk came for ${uploadIdleMsMax / 1_000} s`);
}
