/** The priority of single threads, where the system has such a thing (Linux). */

import { readdirSync, readFileSync } from 'node:fs';
import { setPriority } from 'node:os';

const threadsFolder = '/proc/self/task';
/** Between usual (0) and least (19). */
const yieldingPriority = 10;

/**
 * Has the threads of a name give way to all others when there are more threads than
 * processors. Where that cannot be done they stay as they are.
 */
export function yieldToOthers(threadName: string): void {
  for (const id of threadIds()) if (nameOf(id) === threadName) trySetPriority(Number(id));
}

function threadIds(): readonly string[] {
  try {
    return readdirSync(threadsFolder);
  } catch {
    return [];
  }
}

/** Undefined if the thread has ended meanwhile. */
function nameOf(id: string): string | undefined {
  try {
    return readFileSync(`${threadsFolder}/${id}/comm`, 'utf8').trimEnd();
  } catch {
    return undefined;
  }
}

function trySetPriority(threadId: number): void {
  try {
    setPriority(threadId, yieldingPriority);
  } catch {
    // It has ended, or the process may not.
  }
}
