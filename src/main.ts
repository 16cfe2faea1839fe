/** Entry of the `caisson` command: connects the command line with the parts it may not import itself. */

import { readFileSync } from 'node:fs';
import { App, type RunningServer } from './app.ts';
import { systemClock } from './base/clock.ts';
import { hideExperimentalWarnings } from './base/warnings.ts';
import { createCli } from './cli/cli.ts';
import { connectTo } from './cli/connection.ts';
import type { ServeOptions } from './cli/dependencies.ts';
import { hostPortText } from './cli/values.ts';
import { diagnoseSandbox, runInProcess } from './in-process.ts';
import { type Log, silentLog } from './model/log.ts';
import { inspectPlugin } from './plugins/inspection.ts';
import { readManifest } from './plugins/manifest-schema.ts';
import { policyOf, readPolicyFile, readPolicyText } from './policy/policy-file.ts';
import { Processes } from './processes.ts';
import { createLog } from './telemetry/logger.ts';
import { optionalFeatures, type OptionalFeature } from './wasm/policy.ts';

hideExperimentalWarnings();

const clock = systemClock;
const lingerMsMax = 500;
const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

function known(features: readonly string[]): readonly OptionalFeature[] {
  return optionalFeatures.filter((feature) => features.includes(feature));
}

async function serve(options: ServeOptions): Promise<number> {
  const log = createLog({ level: options.logLevel });
  const stopping = Promise.withResolvers<void>();
  let server: RunningServer | undefined;
  let exitCode = 0;
  let signals = 0;
  const onSignal = (): void => {
    signals += 1;
    stopping.resolve();
    if (signals > 1) server?.hasten();
  };
  process.on('SIGTERM', onSignal).on('SIGINT', onSignal);
  const giveUp = (): void => {
    exitCode = 1;
    stopping.resolve();
  };
  server = await (options.processes === 1 ? startOne(options, log) : startSeveral(options, log, giveUp));
  const { grpcAddresses, adminAddress = 'off' } = server;
  process.stdout.write(`caisson ready grpc=${grpcAddresses.join(',')} admin=${adminAddress}\n`);
  await stopping.promise;
  await server.shutdown();
  process.off('SIGTERM', onSignal).off('SIGINT', onSignal);
  return exitCode;
}

async function startOne(options: ServeOptions, log: Log): Promise<RunningServer> {
  return await App.start({
    ...options,
    version,
    clock,
    log,
    environment: process.env,
    grpcAddresses: [
      ...(options.grpc ? [hostPortText(options.grpc)] : []),
      ...(options.socketPath === undefined ? [] : [`unix:${options.socketPath}`]),
    ],
    allowedFeatures: known(options.allowedFeatures),
    policy: await readPolicyFile(options.policyPath),
  });
}

/** All processes have the policy that is read here, also those that are started later. */
async function startSeveral(options: ServeOptions, log: Log, onGaveUp: () => void): Promise<RunningServer> {
  const policy = await readPolicyText(options.policyPath);
  policyOf(policy);
  return await Processes.start({
    ...options,
    policy,
    version,
    clock,
    log,
    onGaveUp,
    allowedFeatures: known(options.allowedFeatures),
    places: [
      ...(options.grpc ? [options.grpc] : []),
      ...(options.socketPath === undefined ? [] : [{ path: options.socketPath }]),
    ],
  });
}

const cli = createCli({
  version,
  environment: process.env,
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  optionalFeatures,
  onInterrupt: (listener) => {
    process.on('SIGINT', listener);
    return { [Symbol.dispose]: () => void process.off('SIGINT', listener) };
  },
  connect: connectTo,
  serve,
  runFile: (options, signal) =>
    runInProcess({ ...options, clock, log: silentLog, allowedFeatures: known(options.allowedFeatures) }, signal),
  inspectModule: (options) => inspectPlugin({ ...options, allowedFeatures: known(options.allowedFeatures) }),
  explainGrant: async ({ manifestText, policyPath, tenant }) => {
    const { manifest } = readManifest(manifestText);
    return manifest && (await readPolicyFile(policyPath)).explain({ tenant, manifest });
  },
  diagnose: async () => [await diagnoseSandbox(clock)],
});

process.exitCode = await cli.run(process.argv.slice(2));
// Whatever a library still waits for, such as the retry of an export that nobody takes, does not hold the process.
clock.after(lingerMsMax, () => process.exit());
