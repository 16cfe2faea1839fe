/**
 * Guests that call host functions as their input says, a line for each argument:
 * one small guest a capability, so that a test over the wire reads as what is
 * asked of the host and what it answers.
 */

import {
  capabilities,
  type CapabilityName,
  type HostFunctionType,
  kernelFunctions,
  kernelModule,
} from '../../src/model/capability.ts';
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { ExecuteRequestSchema, Execution } from '../../src/gen/caisson/v1/execution_pb.ts';
import { type Clients, type GuestOptions, publishWat, run } from './plugins.ts';

type Functions = Readonly<Record<string, HostFunctionType>>;

function importsOf(module: string, functions: Functions): string {
  const lines = Object.entries(functions).map(([name, { parameters, results }]) => {
    const type = `(param ${parameters.join(' ')}) (result ${results.join(' ')})`.replaceAll(
      /\((?:param|result) \)/g,
      '',
    );
    return `(import "${module}" "${name}" (func $${name} ${type}))`;
  });
  return lines.join('\n  ');
}

/** How guests here read their input and give their output. */
const helpers = `
  (global $at (mut i64) (i64.const 0))
  ;; Bytes of input from $at to the end of the line, or to the end of all if $whole.
  (func $span (param $whole i32) (result i64) (local $end i64)
    (local.set $end (global.get $at))
    (loop $next
      (if (i64.lt_u (local.get $end) (call $input_length))
        (then
          (if (i32.or (local.get $whole) (i32.ne (call $input_load_u8 (local.get $end)) (i32.const 10)))
            (then (local.set $end (i64.add (local.get $end) (i64.const 1))) (br $next))))))
    (i64.sub (local.get $end) (global.get $at)))
  ;; A block of so many bytes of input from $at, none for 0; $at is after them and one more.
  (func $take (param $length i64) (result i64) (local $block i64) (local $i i64)
    (if (i64.ne (local.get $length) (i64.const 0))
      (then
        (local.set $block (call $alloc (local.get $length)))
        (loop $next
          (call $store_u8 (i64.add (local.get $block) (local.get $i))
            (call $input_load_u8 (i64.add (global.get $at) (local.get $i))))
          (br_if $next (i64.lt_u (local.tee $i (i64.add (local.get $i) (i64.const 1))) (local.get $length))))))
    (global.set $at (i64.add (global.get $at) (i64.add (local.get $length) (i64.const 1))))
    (local.get $block))
  ;; The next line as a block, none if it is empty.
  (func $line (result i64) (call $take (call $span (i32.const 0))))
  ;; All that is left as a block.
  (func $rest (result i64) (call $take (call $span (i32.const 1))))
  ;; The next line as a number.
  (func $number (result i64) (local $value i64) (local $sign i64) (local $byte i32)
    (local.set $sign (i64.const 1))
    (loop $next
      (if (i64.lt_u (global.get $at) (call $input_length))
        (then
          (local.set $byte (call $input_load_u8 (global.get $at)))
          (global.set $at (i64.add (global.get $at) (i64.const 1)))
          (if (i32.eq (local.get $byte) (i32.const 45))
            (then (local.set $sign (i64.const -1)) (br $next)))
          (if (i32.ne (local.get $byte) (i32.const 10))
            (then
              (local.set $value (i64.add (i64.mul (local.get $value) (i64.const 10))
                (i64.extend_i32_s (i32.sub (local.get $byte) (i32.const 48)))))
              (br $next))))))
    (i64.mul (local.get $value) (local.get $sign)))
  ;; Puts out a block.
  (func $text (param $block i64) (call $output_set (local.get $block) (call $length (local.get $block))))
  ;; Puts out a number in decimal.
  (func $decimal (param $value i64) (local $block i64) (local $length i64) (local $left i64)
    (if (i64.lt_s (local.get $value) (i64.const 0)) (then unreachable))
    (local.set $left (local.get $value))
    (loop $count
      (local.set $length (i64.add (local.get $length) (i64.const 1)))
      (br_if $count (i64.ne (local.tee $left (i64.div_u (local.get $left) (i64.const 10))) (i64.const 0))))
    (local.set $block (call $alloc (local.get $length)))
    (local.set $left (local.get $length))
    (loop $digit
      (local.set $left (i64.sub (local.get $left) (i64.const 1)))
      (call $store_u8 (i64.add (local.get $block) (local.get $left))
        (i32.add (i32.const 48) (i32.wrap_i64 (i64.rem_u (local.get $value) (i64.const 10)))))
      (local.set $value (i64.div_u (local.get $value) (i64.const 10)))
      (br_if $digit (i64.ne (local.get $left) (i64.const 0))))
    (call $output_set (local.get $block) (local.get $length)))
  (func $code (param $value i32) (call $decimal (i64.extend_i32_u (local.get $value))))`;

/** A guest with the imports of these capabilities, each under its own name, and the helpers above. */
export function capabilityGuest(names: readonly CapabilityName[], body: string): string {
  const imports = names.map((name) => importsOf(capabilities[name].module, capabilities[name].functions));
  return `(module
  ${importsOf(kernelModule, kernelFunctions)}
  ${imports.join('\n  ')}
  (memory 1) ${helpers} ${body})`;
}

/** Publishes such a guest, which asks for what it imports. */
export async function publishGuest(
  clients: Clients,
  name: string,
  guest: { readonly capabilities: readonly CapabilityName[]; readonly body: string },
  options: Omit<GuestOptions, 'capabilities'> = {},
): Promise<void> {
  const { capabilities: names, body } = guest;
  await publishWat(clients, name, capabilityGuest(names, body), { ...options, capabilities: names });
}

/** Calls a function with these lines as its input. */
export function callGuest(
  clients: Clients,
  target: string,
  lines: readonly (string | number)[] = [],
  more: Omit<MessageInitShape<typeof ExecuteRequestSchema>, '$typeName'> = {},
): Promise<Execution> {
  const [plugin = '', name = ''] = target.split('/');
  return run(clients, { plugin, function: name, input: Buffer.from(lines.join('\n')), ...more });
}

/** What a run has put out, as text. */
export function textOf({ output }: Execution): string {
  return Buffer.from(output).toString();
}

export const kvGuest = {
  capabilities: ['kv'],
  body: `
  (func (export "get") (call $text (call $kv_get (call $line))))
  (func (export "set") (call $code (call $kv_set (call $line) (call $line) (call $number))))
  (func (export "delete") (call $code (call $kv_delete (call $line))))
  (func (export "swap") (call $code (call $kv_compare_and_set (call $line) (call $line) (call $line) (call $number))))
  (func (export "list") (call $text (call $kv_list (call $line) (call $line) (i32.wrap_i64 (call $number)))))`,
} as const satisfies { capabilities: readonly CapabilityName[]; body: string };

export const clockGuest = {
  capabilities: ['clock'],
  body: `
  (func (export "now") (call $decimal (call $clock_now)))
  (func (export "elapsed") (local $began i64)
    (local.set $began (call $clock_monotonic))
    (call $decimal (i64.sub (call $clock_monotonic) (local.get $began))))`,
} as const satisfies { capabilities: readonly CapabilityName[]; body: string };

export const randomGuest = {
  capabilities: ['random'],
  body: '(func (export "bytes") (call $text (call $random_bytes (call $number))))',
} as const satisfies { capabilities: readonly CapabilityName[]; body: string };

/** Counts lines of a name and an amount to the end of the input. */
export const usageGuest = {
  capabilities: ['usage', 'log'],
  body: `
  (func (export "count")
    (loop $next
      (call $usage_add (call $line) (call $number))
      (br_if $next (i64.lt_u (global.get $at) (call $input_length)))))`,
} as const satisfies { capabilities: readonly CapabilityName[]; body: string };

/** "get" puts a secret out; "say" says it in a line of log, as progress and as its error. */
export const secretsGuest = {
  capabilities: ['secrets', 'log', 'progress'],
  body: `
  (func (export "get") (call $text (call $secret_get (call $line))))
  (func (export "say") (result i32) (local $name i64) (local $value i64)
    (local.set $name (call $span (i32.const 0)))
    (call $log_info (call $secret_get (call $take (local.get $name))))
    (global.set $at (i64.const 0))
    (call $progress (f64.const 0.5) (call $secret_get (call $take (local.get $name))) (i64.const 0))
    (global.set $at (i64.const 0))
    (call $error_set (call $secret_get (call $take (local.get $name))))
    (i32.const 1))`,
} as const satisfies { capabilities: readonly CapabilityName[]; body: string };

/** "call" puts out what came of it; "failure" what invoke_error says; "burn" makes rounds; "spin" never ends; "echo" gives back its input. */
export const invokeGuest = {
  capabilities: ['invoke'],
  body: `
  (func (export "echo") (call $output_set (call $input_offset) (call $input_length)))
  (func (export "call") (call $text (call $invoke (call $line) (call $line) (call $rest))))
  (func (export "failure")
    (drop (call $invoke (call $line) (call $line) (call $rest)))
    (call $text (call $invoke_error)))
  (func (export "burn") (local $rounds i64)
    (local.set $rounds (call $number))
    (loop $next
      (br_if $next (i64.gt_s (local.tee $rounds (i64.sub (local.get $rounds) (i64.const 1))) (i64.const 0)))))
  (func (export "spin") (loop (br 0)))`,
} as const satisfies { capabilities: readonly CapabilityName[]; body: string };

/** "body", "status" and "headers" of the answer to the request of the first line, with the second as its body. */
export const httpGuest = {
  capabilities: ['http', 'log'],
  body: `
  (func (export "body") (call $text (call $http_request (call $line) (call $rest))))
  (func (export "status") (drop (call $http_request (call $line) (call $rest))) (call $code (call $http_status_code)))
  (func (export "headers") (drop (call $http_request (call $line) (call $rest))) (call $text (call $http_headers)))`,
} as const satisfies { capabilities: readonly CapabilityName[]; body: string };
