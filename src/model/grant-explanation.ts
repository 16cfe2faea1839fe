/** Why a plugin gets what it gets: what its manifest asks for beside what a policy allows. Types only; policy/ makes it. */

import type { CapabilityName } from './capability.ts';
import type { GrantRefusal } from './grant.ts';

export interface GrantExplanation {
  readonly tenant: string;
  /** Plugin name. */
  readonly plugin: string;
  /** Names of the rules that match tenant and plugin. */
  readonly rules: readonly string[];
  /** Every capability that there is. */
  readonly capabilities: readonly ExplainedCapability[];
  /** Everything else that the manifest asks for by name. */
  readonly parts: readonly ExplainedPart[];
  readonly limits: readonly ExplainedLimit[];
  /** Of capabilities: nothing can run without them. */
  readonly refusals: readonly GrantRefusal[];
  /** Of parts: only using them is denied. */
  readonly partRefusals: readonly GrantRefusal[];
}

export interface ExplainedCapability {
  readonly capability: CapabilityName;
  readonly asked: boolean;
  /** Names of the rules that allow it. */
  readonly allowedBy: readonly string[];
  readonly granted: boolean;
}

export interface ExplainedPart {
  readonly kind: 'host' | 'secret' | 'mount' | 'plugin';
  /** As the manifest has it. */
  readonly asked: string;
  readonly allowedBy: readonly string[];
  readonly granted: boolean;
  /** What comes of it, such as the folder that is mounted; empty if nothing does. */
  readonly detail: string;
}

export interface ExplainedLimit {
  /** In the words of the policy, such as "limits.fuel" or "http.requests_max". */
  readonly name: string;
  readonly value: number;
  readonly setBy: 'default' | 'manifest' | 'policy';
  /** Name of the policy's rule that sets it; absent if none does. */
  readonly rule?: string;
}
