/**
 * Entry of a worker process: starts the member that the supervisor asks for,
 * takes connections from it, and ends when it says so, or when it has ended.
 */

import { rmSync } from 'node:fs';
import type { Socket } from 'node:net';
import { systemClock } from './base/clock.ts';
import { hideExperimentalWarnings } from './base/warnings.ts';
import type { FromWorker, ToWorker } from './cluster/process-messages.ts';
import { Member, type MemberStart } from './member.ts';
import { ExecError } from './model/exec-error.ts';
import { policyOf } from './policy/policy-file.ts';
import { createLog } from './telemetry/logger.ts';

const clock = systemClock;
/** Whatever a library still waits for at the end does not hold the process for longer. */
const lingerMsMax = 500;

let member: Member | undefined;

async function begin(start: MemberStart): Promise<void> {
  process.once('disconnect', () => {
    // The supervisor is gone, and with it whoever would give connections or clean up.
    rmSync(start.socketDirectory, { recursive: true, force: true });
    process.exit(1);
  });
  const log = createLog({ level: start.logLevel }).child({ process: start.number });
  try {
    member = await Member.start({
      ...start,
      clock,
      log,
      environment: process.env,
      policy: policyOf(start.policy),
      onClosed: () => void tell({ type: 'closed', connections: 1 }),
    });
    void tell({ type: 'ready' });
  } catch (error) {
    const { reason, message, cause } = ExecError.from(error);
    log.error({ reason, error: cause ?? error }, 'Cannot start');
    await tell({ type: 'failed', reason, message });
    leave(1);
  }
}

async function end(): Promise<void> {
  await member?.end();
  leave(0);
}

function leave(exitCode: number): void {
  process.exitCode = exitCode;
  process.removeAllListeners('disconnect');
  process.disconnect();
  clock.after(lingerMsMax, () => process.exit());
}

/** Resolves when it is on its way, or the supervisor is gone. */
function tell(message: FromWorker): Promise<void> {
  return new Promise((resolve) => {
    if (process.connected) process.send?.(message, undefined, {}, () => resolve());
    else resolve();
  });
}

function hear(message: ToWorker<MemberStart>, connection: Socket | undefined): void {
  switch (message.type) {
    case 'start':
      void begin(message.start);
      break;
    case 'connection':
      // Without one the client has gone on the way.
      if (connection && member) member.serve(connection);
      else void tell({ type: 'closed', connections: 1 });
      break;
    case 'drain':
      void member?.drain().then(() => tell({ type: 'drained' }));
      break;
    case 'hasten':
      member?.hasten();
      break;
    case 'end':
      void end();
      break;
  }
}

hideExperimentalWarnings();
// A signal to the whole group is the supervisor's to answer.
process.on('SIGTERM', () => {}).on('SIGINT', () => {});
process.on('message', (message, connection) =>
  hear(message as ToWorker<MemberStart>, connection as Socket | undefined),
);
