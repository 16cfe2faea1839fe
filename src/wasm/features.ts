/** Names of the WebAssembly features that modules are found to use, beyond the first version of WebAssembly. */

export const featureNames = [
  'bulk-memory',
  'custom-page-sizes',
  'dynamic-linking',
  'exception-handling',
  'extended-const',
  'gc',
  'legacy-exceptions',
  'memory64',
  'multi-memory',
  'multi-value',
  'mutable-globals',
  'nontrapping-fptoint',
  'reference-types',
  'relaxed-simd',
  'shared-memory',
  'sign-ext',
  'simd',
  'tail-call',
  'threads',
  'typed-references',
] as const;

export type FeatureName = (typeof featureNames)[number];
