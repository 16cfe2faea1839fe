/** Tenants over the wire: what each sees of the others, and what the server keeps for itself. */

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Outcome } from '../../src/gen/caisson/v1/execution_pb.ts';
import { hello, nop } from '../helpers/guests.ts';
import { type Clients, clientsOf, publishWat, run } from '../helpers/plugins.ts';
import { startServer, type TestServer } from '../helpers/server.ts';

let server: TestServer;
let acme: Clients;
let other: Clients;
let nobody: Clients;

beforeAll(async () => {
  server = await startServer({ examples: false });
  acme = clientsOf(server.address, 'acme');
  other = clientsOf(server.address, 'other');
  nobody = clientsOf(server.address);
  await publishWat(acme, 'hello', hello);
});

afterAll(async () => {
  for (const clients of [acme, other, nobody]) clients[Symbol.dispose]();
  await server[Symbol.asyncDispose]();
});

describe('A tenant', () => {
  test('sees its executions and none of the others’', async () => {
    const { id } = await run(acme, { plugin: 'hello', function: 'run' });
    const ids = async (clients: Clients): Promise<readonly string[]> =>
      (await clients.executions.listExecutions({})).executions.map((execution) => execution.id);
    expect(await ids(acme)).toContain(id);
    for (const clients of [other, nobody]) {
      expect(await ids(clients)).not.toContain(id);
      for (const call of [clients.executions.getExecution({ id }), clients.executions.cancelExecution({ id })]) {
        await expect(call).rejects.toMatchObject({ codeName: 'NOT_FOUND', reason: 'EXECUTION_NOT_FOUND' });
      }
    }
  });

  test('shares plugins with all', async () => {
    expect((await run(other, { plugin: 'hello', function: 'run' })).outcome).toBe(Outcome.OK);
    const { plugins } = await nobody.plugins.listPlugins({});
    expect(plugins.map(({ name }) => name)).toContain('hello');
  });

  test.each(['caisson', 'No', 'a/b', '../a'])('cannot be called %s', async (tenant) => {
    using clients = clientsOf(server.address, tenant);
    const refusal = { reason: 'REQUEST_INVALID', violations: [{ field: 'caisson-tenant' }] };
    await expect(run(clients, { plugin: 'hello', function: 'run' })).rejects.toMatchObject(refusal);
    await expect(publishWat(clients, 'new', nop)).rejects.toMatchObject(refusal);
    await expect(clients.plugins.deletePlugin({ plugin: 'hello@1.0.0' })).rejects.toMatchObject(refusal);
  });
});

describe('The default tenant', () => {
  test('has the calls that name none', async () => {
    using named = clientsOf(server.address, 'default');
    const { id } = await run(nobody, { plugin: 'hello', function: 'run' });
    expect((await named.executions.getExecution({ id })).execution?.id).toBe(id);
  });
});
