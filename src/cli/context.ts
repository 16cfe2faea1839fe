/** What every command works with, and how a command's action becomes an exit code. */

import { type Command, Option } from 'commander';
import type { Connection } from './connection.ts';
import type { CliDependencies } from './dependencies.ts';
import type { Output } from './output.ts';
import { parseAddress, parseTenant } from './values.ts';

export interface CliContext {
  readonly dependencies: CliDependencies;
  readonly output: Output;
  /** Set by the command that ran. */
  exitCode: number;
}

export interface TenantOptions {
  readonly tenant?: string;
}

export interface ServerOptions extends TenantOptions {
  readonly address: string;
}

export interface JsonOptions {
  readonly json?: true;
}

const addressDefault = '127.0.0.1:50051';

/** The option --address, for every command that talks to a server. */
export function addressOption(): Option {
  return new Option('-a, --address <address>', 'the server: host:port or unix:/path')
    .env('CAISSON_ADDRESS')
    .default(addressDefault)
    .argParser(parseAddress);
}

/** The option --tenant, which every command takes and which only those that run or manage plugins heed. */
export function tenantOption(): Option {
  return new Option('--tenant <name>', 'on whose behalf to call; default: the tenant "default"')
    .env('CAISSON_TENANT')
    .argParser(parseTenant);
}

/** The option --json. */
export function jsonOption(): Option {
  return new Option('--json', 'print JSON; bytes are base64');
}

/** Makes the command run `action` and end with the exit code that it answers with. */
export function runs<Options>(
  command: Command,
  context: CliContext,
  action: (options: Options, words: readonly string[]) => Promise<number>,
): Command {
  return command.action(async () => {
    context.exitCode = await action(command.optsWithGlobals() as Options, command.args);
  });
}

/** The same with clients of the server that the options name, closed afterwards. */
export function calls<Options extends ServerOptions>(
  command: Command,
  context: CliContext,
  action: (server: Connection, options: Options, words: readonly string[]) => Promise<number>,
): Command {
  return runs<Options>(command, context, async (options, words) => {
    const { address, tenant } = options;
    using server = context.dependencies.connect({ address, ...(tenant !== undefined && { tenant }) });
    return await action(server, options, words);
  });
}
