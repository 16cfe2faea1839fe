/** Which process has a session: the same one wherever it is asked, and as long as the number of processes stays the same. */

import { createHash } from 'node:crypto';

export interface SessionName {
  readonly tenant: string;
  /** Name without version. */
  readonly plugin: string;
  readonly sessionId: string;
}

/** The number of the process that runs all calls of the session. */
export function sessionOwner({ tenant, plugin, sessionId }: SessionName, processes: number): number {
  const hash = createHash('sha256').update(JSON.stringify([tenant, plugin, sessionId]));
  return hash.digest().readUInt32LE(0) % processes;
}
