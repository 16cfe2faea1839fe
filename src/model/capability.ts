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

/** Module name of WASI preview 1. */
export const wasiModule = 'wasi_snapshot_preview1';

/** WASI preview 1 by its witx, each function's name with its parameters; i is i32, l is i64. All but proc_exit return an errno. */
const wasiParameters: Readonly<Record<string, string>> = {
  args_get: 'ii',
  args_sizes_get: 'ii',
  environ_get: 'ii',
  environ_sizes_get: 'ii',
  clock_res_get: 'ii',
  clock_time_get: 'ili',
  fd_advise: 'illi',
  fd_allocate: 'ill',
  fd_close: 'i',
  fd_datasync: 'i',
  fd_fdstat_get: 'ii',
  fd_fdstat_set_flags: 'ii',
  fd_fdstat_set_rights: 'ill',
  fd_filestat_get: 'ii',
  fd_filestat_set_size: 'il',
  fd_filestat_set_times: 'illi',
  fd_pread: 'iiili',
  fd_prestat_get: 'ii',
  fd_prestat_dir_name: 'iii',
  fd_pwrite: 'iiili',
  fd_read: 'iiii',
  fd_readdir: 'iiili',
  fd_renumber: 'ii',
  fd_seek: 'ilii',
  fd_sync: 'i',
  fd_tell: 'ii',
  fd_write: 'iiii',
  path_create_directory: 'iii',
  path_filestat_get: 'iiiii',
  path_filestat_set_times: 'iiiilli',
  path_link: 'iiiiiii',
  path_open: 'iiiiillii',
  path_readlink: 'iiiiii',
  path_remove_directory: 'iii',
  path_rename: 'iiiiii',
  path_symlink: 'iiiii',
  path_unlink_file: 'iii',
  poll_oneoff: 'iiii',
  proc_raise: 'i',
  random_get: 'ii',
  sched_yield: '',
  sock_accept: 'iii',
  sock_recv: 'iiiiii',
  sock_send: 'iiiii',
  sock_shutdown: 'ii',
};

const wasiFunctions: Readonly<Record<string, HostFunctionType>> = {
  ...Object.fromEntries(
    Object.entries(wasiParameters).map(([name, letters]) => [
      name,
      fn(
        Array.from(letters, (letter) => (letter === 'l' ? 'i64' : 'i32')),
        ['i32'],
      ),
    ]),
  ),
  proc_exit: fn(['i32'], []),
};

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
  clock: { module: userModule, functions: { clock_now: fn([], ['i64']), clock_monotonic: fn([], ['i64']) } },
  random: { module: userModule, functions: { random_bytes: fn(['i64'], ['i64']) } },
  kv: {
    module: userModule,
    functions: {
      kv_get: fn(['i64'], ['i64']),
      kv_set: fn(['i64', 'i64', 'i64'], ['i32']),
      kv_delete: fn(['i64'], ['i32']),
      kv_compare_and_set: fn(['i64', 'i64', 'i64', 'i64'], ['i32']),
      kv_list: fn(['i64', 'i64', 'i32'], ['i64']),
    },
  },
  http: {
    module: kernelModule,
    functions: {
      http_request: fn(['i64', 'i64'], ['i64']),
      http_status_code: fn([], ['i32']),
      http_headers: fn([], ['i64']),
    },
  },
  secrets: { module: userModule, functions: { secret_get: fn(['i64'], ['i64']) } },
  usage: { module: userModule, functions: { usage_add: fn(['i64', 'i64'], []) } },
  spans: {
    module: userModule,
    functions: {
      span_start: fn(['i64'], ['i64']),
      span_set: fn(['i64', 'i64', 'i64'], []),
      span_end: fn(['i64'], []),
    },
  },
  invoke: {
    module: userModule,
    functions: { invoke: fn(['i64', 'i64', 'i64'], ['i64']), invoke_error: fn([], ['i64']) },
  },
  wasi: { module: wasiModule, functions: wasiFunctions },
} as const satisfies Record<string, { module: string; functions: Readonly<Record<string, HostFunctionType>> }>;

export type CapabilityName = keyof typeof capabilities;

export const capabilityNames = Object.keys(capabilities) as readonly CapabilityName[];
