/** What validation finds in a manifest and a module; the inside form of the proto's ValidationReport. Types only. */

import type { Digest } from '../base/digest.ts';
import type { CapabilityName } from '../model/capability.ts';
import type { Reason } from '../model/reasons.ts';
import type { ExternKind } from '../wasm/types.ts';

export interface ValidationProblem {
  readonly reason: Reason;
  /** A manifest path such as "limits.output_bytes", an import such as "env.abort", or "module+0x1f". */
  readonly location: string;
  readonly message: string;
  /** The manifest line that would mend it; empty if none would. */
  readonly manifestLine: string;
}

export interface ReportedImport {
  readonly module: string;
  readonly name: string;
  readonly kind: ExternKind;
  /** In WebAssembly text form. */
  readonly type: string;
  /** Undefined for the kernel's own functions and for imports that nobody provides. */
  readonly capability: CapabilityName | undefined;
  /** Whether it would be provided with this manifest. */
  readonly provided: boolean;
}

export interface ReportedExport {
  readonly name: string;
  readonly kind: ExternKind;
  readonly type: string;
  readonly executable: boolean;
}

export interface ReportedMemory {
  readonly minPages: number;
  readonly maxPages: number | undefined;
  /** Undefined if the module could not be rewritten. */
  readonly clampedPages: number | undefined;
  readonly is64: boolean;
  readonly shared: boolean;
  readonly imported: boolean;
}

export interface ReportedTable {
  readonly minElements: number;
  readonly maxElements: number | undefined;
  /** Undefined if the module could not be rewritten. */
  readonly clampedElements: number | undefined;
  readonly elementType: string;
  readonly imported: boolean;
}

export interface ReportedSizes {
  readonly moduleBytes: number;
  readonly codeBytes: number;
  readonly dataBytes: number;
  readonly customBytes: number;
  readonly functions: number;
  readonly globals: number;
  readonly elementSegments: number;
  readonly dataSegments: number;
  /** Undefined if the module could not be rewritten. */
  readonly rewrittenBytes: number | undefined;
}

/** Lists are cut to reportBounds; names of the module are made fit for a message. */
export interface ValidationReport {
  /** Whether publishing would be accepted, were the name@version free. */
  readonly valid: boolean;
  readonly problems: readonly ValidationProblem[];
  readonly digest: Digest;
  readonly imports: readonly ReportedImport[];
  readonly exports: readonly ReportedExport[];
  readonly features: readonly string[];
  readonly memories: readonly ReportedMemory[];
  readonly tables: readonly ReportedTable[];
  readonly sizes: ReportedSizes;
  /** Functions that could be executed, sorted, by their true names. */
  readonly functions: readonly string[];
  /** Exported functions that could not be executed, sorted, by their true names. */
  readonly otherFunctions: readonly string[];
}

/** How long a report can be. */
export const reportBounds = {
  problems: 100,
  imports: 1_000,
  exports: 1_000,
  otherFunctions: 100,
  memories: 100,
  tables: 100,
} as const;
