/** What `caisson doctor` looks at by itself: Node, data directory, WebAssembly, and the server or the port it would take. */

import { randomUUID } from 'node:crypto';
import { rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { dirname, join, resolve } from 'node:path';
import { HealthCheckResponse_ServingStatus } from '../gen/grpc/health/v1/health_pb.ts';
import type { Connection, Target } from './connection.ts';
import type { DoctorCheck } from './dependencies.ts';
import { failureOf } from './failure.ts';
import { nameIn } from './forms.ts';
import { systemText } from './module-files.ts';
import { type HostPort, hostPortText, parseHostPort } from './values.ts';

const nodeMajorMin = 24;
const serverTimeoutMs = 3_000;

export function checkNode(version: string): DoctorCheck {
  const ok = Number(version.split('.')[0]) >= nodeMajorMin;
  return {
    name: 'node',
    ok,
    message: `Node ${version}`,
    ...(!ok && { remedy: `Install Node ${nodeMajorMin} or later, or run npm install: it brings the pinned Node` }),
  };
}

/** Writes and removes a file in the directory, or in the folder in which it would be made: looking changes nothing. */
export async function checkDataDirectory(directory: string): Promise<DoctorCheck> {
  try {
    const folder = await nearestFolder(resolve(directory));
    const probe = join(folder, `.caisson-doctor-${randomUUID()}`);
    await writeFile(probe, '', { flag: 'wx' });
    await rm(probe);
    const message =
      folder === resolve(directory)
        ? `"${directory}" can be written`
        : `"${directory}" is not there yet and can be made`;
    return { name: 'data directory', ok: true, message };
  } catch (error) {
    return {
      name: 'data directory',
      ok: false,
      message: `"${directory}" cannot be written: ${systemText(error)}`,
      remedy: 'Give another with --data-dir or CAISSON_DATA_DIR, or mend its permissions',
    };
  }
}

/** The path itself, or the first one above it that exists. */
async function nearestFolder(path: string): Promise<string> {
  try {
    await stat(path);
    return path;
  } catch (error) {
    const isMissing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    if (!isMissing || dirname(path) === path) throw error;
    return nearestFolder(dirname(path));
  }
}

/** Small modules that only validate where the engine has the feature. */
const featureProbes: Readonly<Record<string, string>> = {
  'bulk memory': '0061736d010000000104016000000302010005030100010a0d010b00410041004100fc0b000b',
  SIMD: '0061736d010000000105016000017b030201000a16011400fd0c000000000000000000000000000000000b',
  'reference types': '0061736d0100000001050160016f00030201000a040102000b',
  'multiple memories': '0061736d0100000005050200000000',
};

export function checkWebAssembly(): DoctorCheck {
  const missing = Object.entries(featureProbes)
    .filter(([, hex]) => !WebAssembly.validate(Buffer.from(hex, 'hex')))
    .map(([name]) => name);
  return {
    name: 'webassembly',
    ok: missing.length === 0,
    message: missing.length === 0 ? `Has ${Object.keys(featureProbes).join(', ')}` : `Lacks ${missing.join(', ')}`,
    ...(missing.length > 0 && {
      remedy: `Run on Node ${nodeMajorMin} or later, without flags that turn WebAssembly features off`,
    }),
  };
}

/** A healthy server answers there, or the port is free for one. */
export async function checkServer(address: string, connect: (target: Target) => Connection): Promise<DoctorCheck> {
  const health = await healthOf(address, connect);
  if (health.isServing) return { name: 'server', ok: true, message: `A healthy server answers on ${address}` };
  if (health.answered) {
    return {
      name: 'server',
      ok: false,
      message: `The server on ${address} answers, but is ${health.text}`,
      remedy: 'See its log, or wait until it is ready',
    };
  }
  return address.startsWith('unix:')
    ? checkSocketFree(address, health.text)
    : checkPortFree(parseHostPort(address), health.text);
}

interface Health {
  readonly answered: boolean;
  readonly isServing: boolean;
  readonly text: string;
}

async function healthOf(address: string, connect: (target: Target) => Connection): Promise<Health> {
  using server = connect({ address });
  try {
    const { status } = await server.health.check({ service: '' }, { timeoutMs: serverTimeoutMs });
    const isServing = status === HealthCheckResponse_ServingStatus.SERVING;
    return { answered: true, isServing, text: nameIn(HealthCheckResponse_ServingStatus, status) };
  } catch (error) {
    return { answered: false, isServing: false, text: failureOf(error).message };
  }
}

async function checkPortFree(hostPort: HostPort, why: string): Promise<DoctorCheck> {
  const where = hostPortText(hostPort);
  const refusal = await bindRefusal({ host: hostPort.host, port: hostPort.port });
  if (refusal === undefined)
    return { name: 'server', ok: true, message: `No server runs on ${where}; the port is free for one` };
  return {
    name: 'server',
    ok: false,
    message: `Something holds ${where} (${refusal}), but no Caisson answers there: ${why}`,
    remedy: 'End it, or give another port to caisson serve --grpc and in CAISSON_ADDRESS',
  };
}

async function checkSocketFree(address: string, why: string): Promise<DoctorCheck> {
  return {
    name: 'server',
    ok: false,
    message: `No server answers on ${address}: ${why}`,
    remedy: `Start one: caisson serve --socket ${address.slice('unix:'.length)}`,
  };
}

/** Why nobody can listen there; undefined if somebody can. */
function bindRefusal(options: { readonly host: string; readonly port: number }): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error) => resolve(systemText(error)));
    server.listen(options, () => server.close(() => resolve(undefined)));
  });
}
