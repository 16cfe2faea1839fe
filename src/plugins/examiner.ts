/**
 * Takes uploads in, a bounded number at once, and has their manifests and
 * modules looked at. Stores nothing.
 */

import type { Clock } from '../base/clock.ts';
import { ExecError } from '../model/exec-error.ts';
import type { GrantRefusal } from '../model/grant.ts';
import { resolveLimits } from '../model/limits.ts';
import type { Manifest } from '../model/manifest.ts';
import type { PluginVersion } from '../model/plugin.ts';
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
  /** Made for the limit of memory that the manifest has. */
  readonly analysis: ModuleAnalysis;
}

/** A manifest and the module that it is for. */
export type Judged = Pick<PluginVersion, 'manifestText' | 'digest' | 'sizeBytes'>;

/** Who knows what the operator allows: the policy. */
export interface GrantSource {
  grantFor(subject: { readonly tenant: string; readonly manifest: Manifest }): {
    /** Of capabilities, not of parts of them. */
    readonly refusals: readonly GrantRefusal[];
  };
}

export interface UploadRequest {
  readonly header: PluginUploadHeader;
  readonly chunks: AsyncIterable<Uint8Array>;
  readonly signal: AbortSignal;
  /** Who uploads. */
  readonly tenant: string;
}

export interface ExaminerOptions {
  readonly compiler: Pick<Compiler, 'analyse'>;
  readonly clock: Clock;
  /** Absent if everything is allowed. */
  readonly grants?: GrantSource | undefined;
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
      const { header, chunks, signal, tenant } = request;
      const upload = await receiveUpload(header, chunks, { clock, bounds, signal });
      return await work(await this.#examine(upload, signal, tenant));
    } finally {
      this.#uploads--;
    }
  }

  /** Judges a manifest beside what analysis found. Without a tenant the policy is not asked: it may have changed since the version was published. */
  judge(subject: Judged, analysis: ModuleAnalysis, tenant?: string): Pick<Examined, 'manifest' | 'report'> {
    const { manifestText, digest, sizeBytes } = subject;
    const manifest = readManifest(manifestText);
    const refusals = this.#refusals(manifest.manifest, tenant);
    const report = validate({ manifest, analysis, digest, sizeBytes, refusals });
    return { manifest: report.valid ? manifest.manifest : undefined, report };
  }

  async #examine(upload: Upload, signal: AbortSignal, tenant: string): Promise<Examined> {
    const { manifestText, bytes, digest } = upload;
    const { limits } = readManifest(manifestText);
    const analysis = await this.#analyse(bytes, resolveLimits({}, limits).memoryBytes, signal);
    const subject = { manifestText, digest, sizeBytes: bytes.length };
    return { upload, analysis, ...this.judge(subject, analysis, tenant) };
  }

  #refusals(manifest: Manifest | undefined, tenant: string | undefined): readonly GrantRefusal[] {
    if (manifest === undefined || tenant === undefined) return [];
    return this.#options.grants?.grantFor({ tenant, manifest }).refusals ?? [];
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
