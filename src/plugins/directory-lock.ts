/**
 * Keeps two servers out of one directory: a file that names the process which
 * holds it. The lock of a dead process is taken over, by one taker only. Works
 * between processes that see each other's ids, so not across containers.
 */

import { randomUUID } from 'node:crypto';
import { link, open, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { ExecError } from '../model/exec-error.ts';

/** Who holds a lock. The token tells one taking of the lock from every other. */
interface Holder {
  readonly pid: number;
  /** When the process started, in its machine's terms; tells it from a later one with the same id. */
  readonly startToken: string | undefined;
  readonly token: string;
}

const lockName = 'lock';
/** Takeovers that crashed half-way, one inside the other, that can be sorted out. */
const takeoverDepthMax = 8;
const attemptsMax = 8;

/** Holds the lock of a directory until disposed. */
export class DirectoryLock implements AsyncDisposable {
  readonly #directory: string;
  readonly #holder: Holder;

  private constructor(directory: string, holder: Holder) {
    this.#directory = directory;
    this.#holder = holder;
  }

  /** Takes the lock; throws STORAGE_FAILED if a living process holds it. */
  static async take(directory: string): Promise<DirectoryLock> {
    const holder: Holder = { pid: process.pid, startToken: await startTokenOf(process.pid), token: randomUUID() };
    const lock = new DirectoryLock(directory, holder);
    await lock.#take(lockName, 0);
    return lock;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const path = join(this.#directory, lockName);
    const holder = await readHolder(path);
    if (holder?.token === this.#holder.token) await rm(path, { force: true });
  }

  /** Takes the place `name`, the lock itself or the right to replace what is in the way. */
  async #take(name: string, depth: number): Promise<void> {
    for (let attempt = 0; attempt < attemptsMax; attempt++) {
      if (await this.#linkTo(name)) return;
      const inTheWay = await readHolder(join(this.#directory, name));
      if (inTheWay === undefined) continue;
      if (depth >= takeoverDepthMax || (await isAlive(inTheWay))) throw this.#refusal(inTheWay);
      if (await this.#replace(name, inTheWay, depth)) return;
    }
    throw new ExecError(
      'STORAGE_FAILED',
      `The lock of the data directory "${this.#directory}" changes hands too fast: try again`,
    );
  }

  /**
   * Replaces a dead holder. Only one process at a time can hold the place named
   * after the dead holder's token, and whoever holds it looks again before it
   * acts: so no lock that someone has taken in the meantime is thrown away.
   */
  async #replace(name: string, dead: Holder, depth: number): Promise<boolean> {
    const right = `${lockName}.${dead.token}`;
    await this.#take(right, depth + 1);
    try {
      const now = await readHolder(join(this.#directory, name));
      if (now?.token !== dead.token) return false;
      await rename(await this.#writeHolder(), join(this.#directory, name));
      return true;
    } finally {
      await rm(join(this.#directory, right), { force: true });
    }
  }

  /** Whether the place was free and is ours now. A link, unlike a new file, appears with its content. */
  async #linkTo(name: string): Promise<boolean> {
    const written = await this.#writeHolder();
    try {
      await link(written, join(this.#directory, name));
      return true;
    } catch (error) {
      // EEXIST: taken. ENOENT: the holder of the lock has swept our file away with other temporary ones.
      if (['EEXIST', 'ENOENT'].includes((error as NodeJS.ErrnoException).code ?? '')) return false;
      throw error;
    } finally {
      await rm(written, { force: true });
    }
  }

  async #writeHolder(): Promise<string> {
    const path = join(this.#directory, `.${randomUUID()}.tmp`);
    await using file = await open(path, 'wx', 0o600);
    await file.writeFile(JSON.stringify(this.#holder));
    await file.sync();
    return path;
  }

  #refusal(holder: Holder): ExecError {
    return new ExecError(
      'STORAGE_FAILED',
      `The data directory "${this.#directory}" is in use by process ${holder.pid}: stop that server or choose another directory`,
    );
  }
}

/** Undefined if there is no such file. An unreadable one counts as left by a dead process. */
async function readHolder(path: string): Promise<Holder | undefined> {
  try {
    return holderOf(await readFile(path, 'utf8'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

const tokenForm = /^[0-9a-f-]{36}$/;

function holderOf(text: string): Holder {
  const damaged: Holder = { pid: 0, startToken: undefined, token: 'damaged' };
  try {
    const { pid, startToken, token } = JSON.parse(text) as Partial<Record<keyof Holder, unknown>>;
    if (!Number.isSafeInteger(pid) || typeof token !== 'string' || !tokenForm.test(token)) return damaged;
    return { pid: Number(pid), startToken: typeof startToken === 'string' ? startToken : undefined, token };
  } catch {
    return damaged;
  }
}

async function isAlive(holder: Holder): Promise<boolean> {
  if (holder.pid <= 0 || !isProcess(holder.pid)) return false;
  const startToken = await startTokenOf(holder.pid);
  return startToken === undefined || holder.startToken === undefined || startToken === holder.startToken;
}

function isProcess(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

/** Field of /proc/<pid>/stat, counted after the command's closing bracket, that holds the start time. */
const startTimeField = 19;

/** Boot and start time of a process; undefined where the system does not tell. */
async function startTokenOf(pid: number): Promise<string | undefined> {
  try {
    const boot = await readFile('/proc/sys/kernel/random/boot_id', 'utf8');
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
    const startTime = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[startTimeField];
    return `${boot.trim()}:${startTime}`;
  } catch {
    return undefined;
  }
}
