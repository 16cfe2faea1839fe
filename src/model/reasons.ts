/**
 * The one table of everything that the platform can refuse or fail at. A reason
 * is the stable name that callers see in ErrorInfo.reason; docs/errors.md is
 * generated from this table. What a guest does wrong is not here but in
 * outcome.ts.
 */

export type StatusCode =
  | 'CANCELLED'
  | 'INVALID_ARGUMENT'
  | 'DEADLINE_EXCEEDED'
  | 'NOT_FOUND'
  | 'ALREADY_EXISTS'
  | 'PERMISSION_DENIED'
  | 'RESOURCE_EXHAUSTED'
  | 'FAILED_PRECONDITION'
  | 'OUT_OF_RANGE'
  | 'INTERNAL'
  | 'UNAVAILABLE'
  | 'DATA_LOSS';

interface ReasonInfo {
  readonly code: StatusCode;
  /** Whether the same request may succeed later; RetryInfo is sent then. */
  readonly retryable: boolean;
  /** What the caller should do. */
  readonly help: string;
}

export const reasons = {
  REQUEST_INVALID: { code: 'INVALID_ARGUMENT', retryable: false, help: 'Mend the fields named in BadRequest.' },
  LIMIT_OUT_OF_RANGE: {
    code: 'INVALID_ARGUMENT',
    retryable: false,
    help: 'Choose a limit between 0 and the maximum that the message names; 0 means the default.',
  },
  INPUT_TOO_LARGE: {
    code: 'INVALID_ARGUMENT',
    retryable: false,
    help: 'Send less input, or publish the plugin with a greater limits.input_bytes.',
  },
  PLUGIN_NOT_FOUND: { code: 'NOT_FOUND', retryable: false, help: 'List plugins to see their names.' },
  PLUGIN_VERSION_NOT_FOUND: { code: 'NOT_FOUND', retryable: false, help: 'List the plugin’s versions.' },
  PLUGIN_AMBIGUOUS: {
    code: 'FAILED_PRECONDITION',
    retryable: false,
    help: 'Several versions have this digest: name one as name@version.',
  },
  PLUGIN_NOT_RUNNING: { code: 'FAILED_PRECONDITION', retryable: false, help: 'Start the version, or name another.' },
  PLUGIN_RETIRED: {
    code: 'FAILED_PRECONDITION',
    retryable: false,
    help: 'The version is withdrawn for good: name another.',
  },
  PLUGIN_FAILED: {
    code: 'FAILED_PRECONDITION',
    retryable: false,
    help: 'Loading failed for the reason in the message; mend it and start the version, or publish another.',
  },
  PLUGIN_EXISTS: {
    code: 'ALREADY_EXISTS',
    retryable: false,
    help: 'Publish under a new version: versions never change.',
  },
  PLUGIN_STATE: {
    code: 'FAILED_PRECONDITION',
    retryable: false,
    help: 'The version’s state does not allow this; the message says which does.',
  },
  PLUGINS_FULL: {
    code: 'RESOURCE_EXHAUSTED',
    retryable: false,
    help: 'Delete versions that nobody uses, or raise the server’s bound.',
  },
  PLUGIN_CORRUPT: {
    code: 'DATA_LOSS',
    retryable: false,
    help: 'The stored module does not match its digest: delete the version and publish it again.',
  },
  LIFECYCLE_HOOK_FAILED: {
    code: 'FAILED_PRECONDITION',
    retryable: false,
    help: 'A critical lifecycle hook refused; the message says which and why.',
  },
  FUNCTION_NOT_FOUND: {
    code: 'NOT_FOUND',
    retryable: false,
    help: 'Call one of the functions that the message lists.',
  },
  FUNCTION_NOT_EXECUTABLE: {
    code: 'INVALID_ARGUMENT',
    retryable: false,
    help: 'A function is executable if it takes no parameters, returns nothing or an i32, and the manifest does not leave it out.',
  },
  UPLOAD_MALFORMED: {
    code: 'INVALID_ARGUMENT',
    retryable: false,
    help: 'Send one header first and then only chunks that are not empty.',
  },
  UPLOAD_INCOMPLETE: {
    code: 'INVALID_ARGUMENT',
    retryable: false,
    help: 'Send as many bytes as the header announces.',
  },
  UPLOAD_TOO_LARGE: {
    code: 'INVALID_ARGUMENT',
    retryable: false,
    help: 'Send no more bytes than the header announces and the server allows.',
  },
  UPLOAD_STALLED: { code: 'DEADLINE_EXCEEDED', retryable: true, help: 'Send the chunks without long pauses.' },
  UPLOADS_FULL: {
    code: 'RESOURCE_EXHAUSTED',
    retryable: true,
    help: 'Too many uploads at once: try again after the delay.',
  },
  DIGEST_MISMATCH: {
    code: 'INVALID_ARGUMENT',
    retryable: false,
    help: 'The module is not the one whose SHA-256 the header gives: check both.',
  },
  MANIFEST_INVALID: {
    code: 'INVALID_ARGUMENT',
    retryable: false,
    help: 'Mend the manifest at the paths named in BadRequest.',
  },
  WASM_NOT_WASM: {
    code: 'INVALID_ARGUMENT',
    retryable: false,
    help: 'Upload a core WebAssembly module; it begins with the bytes 00 61 73 6d 01 00 00 00.',
  },
  WASM_COMPONENT: {
    code: 'INVALID_ARGUMENT',
    retryable: false,
    help: 'Components are not supported: build a core module, for example without a component adapter step.',
  },
  WASM_TRUNCATED: {
    code: 'INVALID_ARGUMENT',
    retryable: false,
    help: 'The module ends too early: build or upload it again.',
  },
  WASM_INVALID: {
    code: 'INVALID_ARGUMENT',
    retryable: false,
    help: 'The module does not validate; the message names the byte. Build it again with a current toolchain.',
  },
  WASM_FEATURE_NOT_ALLOWED: {
    code: 'INVALID_ARGUMENT',
    retryable: false,
    help: 'Build without the feature, or have the operator allow it.',
  },
  WASM_OVER_LIMIT: {
    code: 'INVALID_ARGUMENT',
    retryable: false,
    help: 'The module is larger in some measure than the server allows; the message names measure and bound.',
  },
  WASM_TOO_SLOW: {
    code: 'INVALID_ARGUMENT',
    retryable: false,
    help: 'Checking and compiling the module took longer than the server allows: make it smaller.',
  },
  WASM_RESERVED_NAME: {
    code: 'INVALID_ARGUMENT',
    retryable: false,
    help: 'Names that begin with "caisson:" belong to the server: rename the import or export.',
  },
  IMPORT_UNKNOWN: {
    code: 'INVALID_ARGUMENT',
    retryable: false,
    help: 'Nobody provides this import: remove it, or link what it needs into the module.',
  },
  IMPORT_TYPE_MISMATCH: {
    code: 'INVALID_ARGUMENT',
    retryable: false,
    help: 'The import exists with another type; the message gives it.',
  },
  CAPABILITY_NOT_GRANTED: {
    code: 'INVALID_ARGUMENT',
    retryable: false,
    help: 'Add the line that the message gives, to the manifest or to the operator’s policy.',
  },
  MEMORY_OVER_LIMIT: {
    code: 'INVALID_ARGUMENT',
    retryable: false,
    help: 'The module needs more memory at its start than its limit allows: raise memory.max_pages or limits.memory_bytes, or build it with less.',
  },
  EXECUTION_NOT_FOUND: {
    code: 'NOT_FOUND',
    retryable: false,
    help: 'The execution never was or is no longer remembered.',
  },
  SEQUENCE_OUT_OF_RANGE: {
    code: 'OUT_OF_RANGE',
    retryable: false,
    help: 'Attach with a sequence no greater than the execution’s last.',
  },
  QUEUE_FULL: {
    code: 'RESOURCE_EXHAUSTED',
    retryable: true,
    help: 'The waiting line is full: try again after the delay.',
  },
  READERS_FULL: {
    code: 'RESOURCE_EXHAUSTED',
    retryable: true,
    help: 'Too many readers at once: try again after the delay.',
  },
  READER_TOO_SLOW: {
    code: 'RESOURCE_EXHAUSTED',
    retryable: true,
    help: 'Changes came faster than they were read: watch again.',
  },
  EXECUTIONS_FULL: {
    code: 'RESOURCE_EXHAUSTED',
    retryable: true,
    help: 'Too many executions are alive at once: try again after the delay.',
  },
  SHUTTING_DOWN: {
    code: 'UNAVAILABLE',
    retryable: true,
    help: 'The server is shutting down: try again after the delay, on another server if there is one.',
  },
  DEADLINE_EXCEEDED: {
    code: 'DEADLINE_EXCEEDED',
    retryable: false,
    help: 'The call’s deadline passed: allow more time.',
  },
  CANCELED: { code: 'CANCELLED', retryable: false, help: 'The caller canceled.' },
  SANDBOX_CRASHED: {
    code: 'INTERNAL',
    retryable: false,
    help: 'The thread that ran the guest died. Other calls are not affected; report it.',
  },
  SANDBOX_UNAVAILABLE: {
    code: 'UNAVAILABLE',
    retryable: true,
    help: 'No sandbox could be started: try again after the delay.',
  },
  PROCESS_UNAVAILABLE: {
    code: 'UNAVAILABLE',
    retryable: true,
    help: 'The server has several processes, and the one that the call needs ended or does not answer; it is being replaced: try again after the delay.',
  },
  STORAGE_FAILED: {
    code: 'INTERNAL',
    retryable: false,
    help: 'The server could not read or write its data directory: see its log.',
  },
  INTERNAL: { code: 'INTERNAL', retryable: false, help: 'A fault of the server: report the id in the message.' },
} as const satisfies Record<string, ReasonInfo>;

export type Reason = keyof typeof reasons;

/** Delay sent with a retryable refusal that names none of its own. */
export const retryDelayMsDefault = 1_000;
