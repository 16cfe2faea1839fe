import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { DoctorReport } from '../../../src/cli/dependencies.ts';
import { checkNode } from '../../../src/cli/doctor-checks.ts';
import { HealthCheckResponse_ServingStatus as Status } from '../../../src/gen/grpc/health/v1/health_pb.ts';
import { runCli } from './harness.ts';

const folder = mkdtempSync(join(tmpdir(), 'caisson-cli-'));
afterAll(() => rmSync(folder, { recursive: true }));

let holder: Server;
let heldAddress = '';

beforeAll(async () => {
  holder = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => holder.once('listening', resolve));
  heldAddress = `127.0.0.1:${(holder.address() as AddressInfo).port}`;
});
afterAll(() => holder.close());

const healthy = { check: () => Promise.resolve({ status: Status.SERVING }) };
const silent = { check: () => Promise.reject(new Error('connection refused')) };

async function doctor(
  words: readonly string[],
  fakes: Parameters<typeof runCli>[1],
): Promise<{ exitCode: number; report: DoctorReport }> {
  const run = await runCli(['doctor', '--json', '--data-dir', folder, ...words], fakes);
  return { exitCode: run.exitCode, report: JSON.parse(run.stdout) as DoctorReport };
}

function checkOf(report: DoctorReport, name: string) {
  return report.checks.find((check) => check.name === name);
}

describe('doctor', () => {
  test('finds nothing wrong where nothing is', async () => {
    const { exitCode, report } = await doctor([], {
      health: healthy,
      checks: [{ name: 'kernel', ok: true, message: 'as built' }],
    });
    expect({ exitCode, ok: report.ok }).toEqual({ exitCode: 0, ok: true });
    expect(report.checks.map(({ name, ok }) => [name, ok])).toEqual([
      ['node', true],
      ['webassembly', true],
      ['data directory', true],
      ['server', true],
      ['kernel', true],
    ]);
    expect(readdirSync(folder)).toEqual([]);
  });

  test('fails with what to do', async () => {
    const checks = [{ name: 'kernel', ok: false, message: 'differs\u001b', remedy: 'Run npm run generate' }];
    const run = await runCli(['doctor', '--data-dir', folder], { health: healthy, checks });
    expect(run.exitCode).toBe(1);
    expect(run.stdout).toMatch(/^OK {3}node: Node \d+/);
    expect(run.stdout).toContain('FAIL kernel: differs\\u001b\n     Run npm run generate\n');
  });

  test('fails where the data directory cannot be written', async () => {
    const file = join(mkdtempSync(join(tmpdir(), 'caisson-cli-')), 'file');
    writeFileSync(file, '');
    const run = await runCli(['doctor', '--json', '--data-dir', join(file, 'below')], { health: healthy });
    const report = JSON.parse(run.stdout) as DoctorReport;
    expect(checkOf(report, 'data directory')).toMatchObject({
      ok: false,
      message: expect.stringContaining('it is not a folder'),
    });
    expect(run.exitCode).toBe(1);
  });

  test('does not make the data directory', async () => {
    const run = await runCli(['doctor', '--json', '--data-dir', join(folder, 'a/b')], { health: healthy });
    const report = JSON.parse(run.stdout) as DoctorReport;
    expect(checkOf(report, 'data directory')).toMatchObject({
      ok: true,
      message: expect.stringContaining('can be made'),
    });
    expect(readdirSync(folder)).toEqual([]);
  });

  test('fails where a server answers but does not serve', async () => {
    const { report } = await doctor([], { health: { check: () => Promise.resolve({ status: Status.NOT_SERVING }) } });
    expect(checkOf(report, 'server')).toMatchObject({ ok: false, message: expect.stringContaining('is NOT_SERVING') });
  });

  test('is content with a free port where no server runs', async () => {
    const { report } = await doctor(['--address', '127.0.0.1:0'], { health: silent });
    expect(checkOf(report, 'server')).toMatchObject({ ok: true, message: expect.stringContaining('free') });
  });

  test('fails where something else holds the port', async () => {
    const { report } = await doctor(['--address', heldAddress], { health: silent });
    expect(checkOf(report, 'server')).toMatchObject({
      ok: false,
      message: `Something holds ${heldAddress} (the address is in use), but no Caisson answers there: connection refused`,
    });
  });

  test('fails where no server answers on a socket', async () => {
    const { report } = await doctor(['--address', 'unix:/no/such.sock'], { health: silent });
    expect(checkOf(report, 'server')).toMatchObject({
      ok: false,
      remedy: 'Start one: caisson serve --socket /no/such.sock',
    });
  });
});

test('checkNode wants Node 24', () => {
  expect(checkNode('23.11.0')).toMatchObject({ ok: false, remedy: expect.stringContaining('24') });
  expect(checkNode('24.0.0')).toMatchObject({ ok: true });
  expect(checkNode('100.0.0')).toMatchObject({ ok: true });
});
