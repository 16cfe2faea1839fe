/** Modules for tests, written in the WebAssembly text format. */

import wabt from 'wabt';

const toolkit = await wabt();

const features = {
  exceptions: true,
  mutable_globals: true,
  sat_float_to_int: true,
  sign_extension: true,
  simd: true,
  threads: true,
  function_references: true,
  multi_value: true,
  multi_memory: true,
  tail_call: true,
  bulk_memory: true,
  reference_types: true,
  annotations: true,
  code_metadata: true,
  gc: true,
  memory64: true,
  extended_const: true,
  relaxed_simd: true,
};

/** The binary of a module in text form; throws wabt's error, which names line and column, if it does not parse. */
export function wat(text: string): Uint8Array<ArrayBuffer> {
  return binaryOf(text, false);
}

/** The same with a name section that holds the identifiers of the text. */
export function watWithNames(text: string): Uint8Array<ArrayBuffer> {
  return binaryOf(text, true);
}

function binaryOf(text: string, names: boolean): Uint8Array<ArrayBuffer> {
  const module = toolkit.parseWat('test.wat', text, features);
  try {
    return new Uint8Array(module.toBinary({ write_debug_names: names }).buffer);
  } finally {
    module.destroy();
  }
}
