/**
 * The families of host functions and the imports that each one provides. A
 * manifest asks for capabilities by name; an import outside the kernel's own and
 * those of the granted capabilities is refused when the plugin is published.
 */

export interface HostFunctionType {
  readonly parameters: readonly WasmValueType[];
  readonly results: readonly WasmValueType[];
}

export type WasmValueType = 'i32' | 'i64' | 'f32' | 'f64';

/** Module name of the Extism ABI. */
export const kernelModule = 'extism:host/env';
/** Module name of host functions beyond the Extism ABI, as every Extism PDK expects. */
export const userModule = 'extism:host/user';

const fn = (parameters: readonly WasmValueType[], results: readonly WasmValueType[]): HostFunctionType => ({
  parameters,
  results,
});

/** Imports from kernelModule that every plugin has: memory blocks, input, output, error. */
export const kernelFunctions: Readonly<Record<string, HostFunctionType>> = {
  alloc: fn(['i64'], ['i64']),
  free: fn(['i64'], []),
  length: fn(['i64'], ['i64']),
  length_unsafe: fn(['i64'], ['i64']),
  load_u8: fn(['i64'], ['i32']),
  load_u64: fn(['i64'], ['i64']),
  store_u8: fn(['i64', 'i32'], []),
  store_u64: fn(['i64', 'i64'], []),
  input_offset: fn([], ['i64']),
  input_length: fn([], ['i64']),
  input_load_u8: fn(['i64'], ['i32']),
  input_load_u64: fn(['i64'], ['i64']),
  output_set: fn(['i64', 'i64'], []),
  error_set: fn(['i64'], []),
  error_get: fn([], ['i64']),
};

export const capabilities = {
  config: { module: kernelModule, functions: { config_get: fn(['i64'], ['i64']) } },
  vars: { module: kernelModule, functions: { var_get: fn(['i64'], ['i64']), var_set: fn(['i64', 'i64'], []) } },
  log: {
    module: kernelModule,
    functions: {
      log_trace: fn(['i64'], []),
      log_debug: fn(['i64'], []),
      log_info: fn(['i64'], []),
      log_warn: fn(['i64'], []),
      log_error: fn(['i64'], []),
      get_log_level: fn([], ['i32']),
    },
  },
  progress: { module: userModule, functions: { progress: fn(['f64', 'i64', 'i64'], []) } },
} as const satisfies Record<string, { module: string; functions: Readonly<Record<string, HostFunctionType>> }>;

export type CapabilityName = keyof typeof capabilities;

export const capabilityNames = Object.keys(capabilities) as readonly CapabilityName[];
