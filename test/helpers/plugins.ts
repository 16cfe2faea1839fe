/** Publishes and executes over the wire, as a client of the service does. */

import { createHash } from 'node:crypto';
import { type CallOptions, type Client, createClient } from '../../src/client/client.ts';
import { type Execution, ExecutionService } from '../../src/gen/caisson/v1/execution_pb.ts';
import { PluginService, type PublishPluginResponse } from '../../src/gen/caisson/v1/plugin_pb.ts';
import { wat } from './wat.ts';

export interface Clients extends Disposable {
  readonly executions: Client<typeof ExecutionService>;
  readonly plugins: Client<typeof PluginService>;
}

/** Clients of a server, on behalf of a tenant if one is given. */
export function clientsOf(address: string, tenant?: string): Clients {
  const target = { address, ...(tenant !== undefined && { metadata: { 'caisson-tenant': tenant } }) };
  const executions = createClient(ExecutionService, target);
  const plugins = createClient(PluginService, target);
  return {
    executions,
    plugins,
    [Symbol.dispose]() {
      executions[Symbol.dispose]();
      plugins[Symbol.dispose]();
    },
  };
}

export interface Upload {
  readonly manifest: string;
  readonly module: Uint8Array;
  readonly sha256?: string;
  readonly sizeBytes?: number;
  /** Send only so many chunks, then fail. */
  readonly breakAfterChunks?: number;
  readonly chunkBytes?: number;
}

export type UploadPart = {
  part:
    | { case: 'header'; value: { manifest: string; sha256: string; sizeBytes: bigint } }
    | { case: 'chunk'; value: Uint8Array };
};

export async function* uploadOf(upload: Upload): AsyncGenerator<UploadPart> {
  const { manifest, module } = upload;
  const sha256 = upload.sha256 ?? createHash('sha256').update(module).digest('hex');
  yield { part: { case: 'header', value: { manifest, sha256, sizeBytes: BigInt(upload.sizeBytes ?? module.length) } } };
  const chunkBytes = upload.chunkBytes ?? 65_536;
  for (let at = 0, chunks = 0; at < module.length; at += chunkBytes, chunks++) {
    if (chunks === upload.breakAfterChunks) throw new Error('the sender broke off');
    yield { part: { case: 'chunk', value: module.subarray(at, at + chunkBytes) } };
  }
}

export interface GuestOptions {
  readonly version?: string;
  readonly capabilities?: readonly string[];
  readonly more?: object;
}

/** Publishes a guest written in the text format. */
export function publishWat(
  clients: Clients,
  name: string,
  text: string,
  options: GuestOptions = {},
): Promise<PublishPluginResponse> {
  const { version = '1.0.0', capabilities = [], more = {} } = options;
  const manifest = JSON.stringify({ name, version, capabilities, ...more });
  return clients.plugins.publishPlugin(uploadOf({ manifest, module: wat(text) }));
}

export async function run(
  clients: Clients,
  request: Parameters<Clients['executions']['execute']>[0],
  options?: CallOptions,
): Promise<Execution> {
  const { execution } = await clients.executions.execute(request, options);
  if (!execution) throw new Error('The response carries no execution');
  return execution;
}
