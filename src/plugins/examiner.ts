/**
 * Takes uploads in, a bounded number at once, and has their manifests and
 * modules looked at. Stores nothing.
 */

import type { Clock } from '../base/clock.ts';
import { ExecError } from '../model/exec-error.ts';
import { resolveLimits } from '../model/limits.ts';
import type { Manifest } from '../model/manifest.ts';
import type { Compiler, ModuleAnalysis } from '../sandbox/compiler.ts';
import { abortError } from './aborted.ts';
import type { PluginBounds } from './bounds.ts';
import { readManifest } from './manifest-schema.ts';
import type { ValidationReport } from './report.ts';
import { type PluginUploadHeader, receiveUpload, type Upload } from './upload.ts';
import { validate } from './validation.ts';

/** An upload whose manifest and module have been looked at. */
export interface Examined {
  readonly upload: Upload;
  /** Undefined if the report is not valid. */
  readonly manifest: Manifest | undefined;
  readonly report: ValidationReport;
}

export interface UploadRequest {
  readonly header: PluginUploadHeader;
  readonly chunks: AsyncIterable<Uint8Array>;
  readonly signal: AbortSignal;
}

export interface ExaminerOptions {
  readonly compiler: Pick<Compiler, 'analyse'>;
  readonly clock: Clock;
  readonly bounds: Pick<PluginBounds, 'uploadsMax' | 'moduleBytesMax' | 'uploadIdleMsMax' | 'uploadMsMax'>;
}

export class Examiner {
  readonly #options: ExaminerOptions;
  #uploads = 0;

  constructor(options: ExaminerOptions) {
    this.#options = options;
  }

  /** Receives and examines an upload and hands it to `work`; it counts as under way until that is done. Throws UPLOADS_FULL. */
  async receive<Result>(request: UploadRequest, work: (examined: Examined) => Promise<Result>): Promise<Result> {
    const { clock, bounds } = this.#options;
    if (this.#uploads >= bounds.uploadsMax) {
      const text = `${bounds.uploadsMax} uploads are under way, the maximum of this server: try again later`;
      throw new ExecError('UPLOADS_FULL', text);
    }
    this.#uploads++;
    try {
      const { header, chunks, signal } = request;
      const upload = await receiveUpload(header, chunks, { clock, bounds, signal });
      return await work(await this.examine(upload, signal));
    } finally {
      this.#uploads--;
    }
  }

  async examine(upload: Upload, signal: AbortSignal): Promise<Examined> {
    const { manifestText, bytes, digest } = upload;
    const manifest = readManifest(manifestText);
    const memoryBytes = resolveLimits({}, manifest.limits).memoryBytes;
    const analysis = await this.#analyse(bytes, memoryBytes, signal);
    const report = validate({ manifest, analysis, digest, sizeBytes: bytes.length });
    return { upload, manifest: report.valid ? manifest.manifest : undefined, report };
  }

  /** That a module takes too long is a problem of the module like any other. */
  async #analyse(bytes: Uint8Array, memoryBytes: number, signal: AbortSignal): Promise<ModuleAnalysis> {
    try {
      return await this.#options.compiler.analyse(bytes, memoryBytes, signal);
    } catch (error) {
      if (signal.aborted) throw abortError(signal);
      if (!(error instanceof ExecError) || error.reason !== 'WASM_TOO_SLOW') throw error;
      return { problems: [{ reason: error.reason, location: 'module', message: error.message }] };
    }
  }
}
