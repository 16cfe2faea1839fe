/**
 * What a plugin asks for. The words are Extism's where Extism has them. Parsing
 * and checking stand in plugins/manifest-schema.ts; this is the checked form.
 */

import type { CapabilityName } from './capability.ts';
import type { LimitsAsked } from './limits.ts';

export interface Manifest {
  readonly name: string;
  /** Semantic version 2.0.0. */
  readonly version: string;
  readonly description: string;
  /** Functions that may be executed; undefined means every export that has the right type. */
  readonly functions: readonly string[] | undefined;
  readonly capabilities: readonly CapabilityName[];
  readonly config: Readonly<Record<string, string>>;
  readonly limits: LimitsAsked;
}
