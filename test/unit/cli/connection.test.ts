import { describe, expect, test } from 'vitest';
import { connectTo } from '../../../src/cli/connection.ts';
import { AdminService } from '../../../src/gen/caisson/v1/admin_pb.ts';
import { ExecutionService } from '../../../src/gen/caisson/v1/execution_pb.ts';
import { PluginService } from '../../../src/gen/caisson/v1/plugin_pb.ts';
import { bindService } from '../../../src/rpc/adapter.ts';
import type { CallContext, ServiceImplementation } from '../../../src/rpc/service-types.ts';
import { startRpc, type TestRpc } from '../../helpers/grpc.ts';

/** A server that keeps the tenants of its calls. */
async function keeping(tenants: unknown[]): Promise<TestRpc> {
  const keep = (_: unknown, { metadata }: CallContext): object => {
    tenants.push(metadata.get('caisson-tenant'));
    return {};
  };
  return await startRpc([
    bindService(AdminService, { getServerInfo: keep }),
    bindService(ExecutionService, { getExecution: keep } as unknown as ServiceImplementation<typeof ExecutionService>),
    bindService(PluginService, { getPlugin: keep } as unknown as ServiceImplementation<typeof PluginService>),
  ]);
}

describe('connectTo', () => {
  test.each([
    ['acme', ['acme']],
    [undefined, []],
  ])('calls every service on behalf of the tenant %s', async (tenant, expected) => {
    const tenants: unknown[] = [];
    await using rpc = await keeping(tenants);
    using server = connectTo({ address: rpc.address, ...(tenant !== undefined && { tenant }) });
    await server.admin.getServerInfo({});
    await server.executions.getExecution({});
    await server.plugins.getPlugin({});
    expect(tenants).toEqual([expected, expected, expected]);
  });
});
