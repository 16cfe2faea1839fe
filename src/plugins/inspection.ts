/**
 * Looks into a module without a server: describes it and says what validation
 * would say of it. Runs in the caller's thread with no bound on its time, so it is
 * for modules of one's own only.
 */

import { digestOf } from '../base/digest.ts';
import { resolveLimits } from '../model/limits.ts';
import type { ModuleInspection } from '../model/module-description.ts';
import { importPrices } from '../sandbox/import-prices.ts';
import { analyseModule } from '../sandbox/thread/compile.ts';
import { describeModule } from '../wasm/describe.ts';
import { modulePolicyDefault, type OptionalFeature } from '../wasm/policy.ts';
import { judgeImport } from './imports.ts';
import { type ManifestReading, readManifest } from './manifest-schema.ts';
import { validate } from './validation.ts';

export interface PluginInspection {
  readonly module: Uint8Array;
  /** Undefined if there is none: then the default limits hold, and every capability counts as granted. */
  readonly manifestText: string | undefined;
  /** How many functions are described. */
  readonly functionsMax: number;
  readonly allowedFeatures: readonly OptionalFeature[];
}

const noManifest: ManifestReading = {
  manifest: undefined,
  violations: [],
  capabilities: undefined,
  functions: undefined,
  limits: {},
};

/** Does not throw for a bad module or a bad manifest. */
export function inspectPlugin(inspection: PluginInspection): ModuleInspection {
  const { manifestText, functionsMax, allowedFeatures } = inspection;
  const bytes = new Uint8Array(inspection.module);
  const digest = digestOf(bytes);
  const manifest = manifestText === undefined ? noManifest : readManifest(manifestText);
  const memoryBytesMax = resolveLimits({}, manifest.limits).memoryBytes;
  const policy = { ...modulePolicyDefault, allowedFeatures };
  const analysis = analyseModule({ bytes, memoryBytes: memoryBytesMax, policy });
  const { valid, problems } = validate({ manifest, analysis, digest, sizeBytes: bytes.length });
  const { info } = analysis;
  if (info === undefined) return { valid, problems, digest, memoryBytesMax };
  const module = describeModule(bytes, info, {
    memoryBytesMax,
    metering: { importPrices },
    functionsMax,
    providerOf: (entry) => judgeImport(entry, { asked: manifest.capabilities, refusals: [] }),
  });
  return { valid, problems, digest, memoryBytesMax, module };
}
