/**
 * What is to be seen in a module without running it: its parts, what rewriting
 * makes of it, and what its functions cost. Plain data whose names are fit to be
 * printed; lists are cut, counts are not. Types only.
 */

import type { Reason } from './reasons.ts';

export interface ModuleDescription {
  readonly bytes: number;
  readonly codeBytes: number;
  /** How many there are of what is listed, and of what is imported of it. */
  readonly counts: {
    readonly sections: number;
    readonly imports: number;
    readonly exports: number;
    readonly memories: number;
    readonly tables: number;
    /** Functions defined in the module. */
    readonly functions: number;
    readonly importedFunctions: number;
  };
  readonly features: readonly string[];
  readonly sections: readonly DescribedSection[];
  readonly imports: readonly DescribedImport[];
  readonly exports: readonly DescribedExport[];
  readonly memories: readonly DescribedMemory[];
  readonly tables: readonly DescribedTable[];
  /** Version of the table that the costs of functions come from. */
  readonly costTableVersion: number;
  readonly rewriterVersion: number;
  /** Absent if the module cannot be rewritten. */
  readonly rewritten?: DescribedRewriting;
  /** Why it cannot be rewritten, if it is valid and yet it cannot. */
  readonly refusal?: DescribedProblem;
  /** The dearest ones first; the largest ones first if the module cannot be rewritten. */
  readonly functions: readonly DescribedFunction[];
}

export interface DescribedSection {
  readonly name: string;
  /** Present for custom sections. */
  readonly customName?: string;
  /** Where the section begins in the module, at its id. */
  readonly offset: number;
  /** From there to its end. */
  readonly bytes: number;
}

/** Who provides an import. */
export interface ImportProvider {
  /** Undefined if no capability is needed for it, or if nobody provides it. */
  readonly capability: string | undefined;
  readonly provided: boolean;
}

export interface DescribedImport extends ImportProvider {
  readonly module: string;
  readonly name: string;
  readonly kind: string;
  /** In WebAssembly text form. */
  readonly type: string;
}

export interface DescribedExport {
  readonly name: string;
  readonly kind: string;
  /** Index among the things of its kind, imported ones first. */
  readonly index: number;
  readonly type: string;
}

export interface DescribedMemory {
  readonly type: string;
  readonly imported: boolean;
  readonly minPages: number;
  readonly maxPages?: number;
  /** The maximum under the memory limit; absent if the module cannot be rewritten. */
  readonly clampedPages?: number;
}

export interface DescribedTable {
  readonly type: string;
  readonly imported: boolean;
  readonly elementType: string;
  readonly minElements: number;
  readonly maxElements?: number;
  readonly clampedElements?: number;
}

export interface DescribedRewriting {
  readonly bytes: number;
  /** Bytes of the rewritten module for each one of the module. */
  readonly ratio: number;
  readonly codeBytes: number;
  /** The same of the code section alone; 1 if the module has no code. */
  readonly codeRatio: number;
}

export interface DescribedFunction {
  /** From the name section, else "func[INDEX]". */
  readonly name: string;
  readonly index: number;
  readonly bodyBytes: number;
  readonly rewrittenBodyBytes?: number;
  /** Units of fuel if each of its instructions is executed once and every length is 0. */
  readonly cost?: number;
}

export interface DescribedProblem {
  readonly reason: Reason;
  readonly location: string;
  readonly message: string;
}

/** A description, and what a server would have to say about the module. */
export interface ModuleInspection {
  /** Whether nothing stands against publishing it; without a manifest, against publishing it with a fitting one. */
  readonly valid: boolean;
  readonly problems: readonly (DescribedProblem & { readonly manifestLine: string })[];
  readonly digest: string;
  /** What all memories and tables together may take. */
  readonly memoryBytesMax: number;
  /** Absent if the bytes cannot be decoded. */
  readonly module?: ModuleDescription;
}
