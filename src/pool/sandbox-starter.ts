/**
 * Starts sandboxes, each with a bounded number of tries and growing delays
 * between them. It does not decide how many there shall be.
 */

import type { Clock } from '../base/clock.ts';
import { ExecError } from '../model/exec-error.ts';
import type { Sandbox } from '../sandbox/sandbox.ts';

const triesMax = 5;
const firstDelayMs = 100;
const delayMsMax = 5_000;

export interface SandboxStarterOptions {
  readonly clock: Clock;
  readonly startSandbox: (id: number) => Promise<Sandbox>;
  onStarted(sandbox: Sandbox): void;
  /** A start failed for good. */
  onGaveUp(error: ExecError): void;
}

export class SandboxStarter implements AsyncDisposable {
  readonly #options: SandboxStarterOptions;
  readonly #closing = new AbortController();
  readonly #pending = new Set<Promise<void>>();
  #idsGiven = 0;
  #failures = 0;

  constructor(options: SandboxStarterOptions) {
    this.#options = options;
  }

  /** Sandboxes being started, waits between tries included. */
  get pending(): number {
    return this.#pending.size;
  }

  /** Tries that have failed so far. */
  get failures(): number {
    return this.#failures;
  }

  start(): void {
    const work = this.#tryStart().then((result) => {
      this.#pending.delete(work);
      if (result instanceof ExecError) this.#options.onGaveUp(result);
      else this.#options.onStarted(result);
    });
    this.#pending.add(work);
  }

  /** Gives up waits between tries; a try under way comes to its end. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new ExecError('SHUTTING_DOWN', 'The pool is closing'));
    await Promise.all(this.#pending);
  }

  async #tryStart(): Promise<Sandbox | ExecError> {
    for (let tries = 1; ; tries++) {
      try {
        return await this.#options.startSandbox(++this.#idsGiven);
      } catch (error) {
        this.#failures++;
        const isLast = tries >= triesMax || !(await this.#pause(tries));
        if (isLast) return new ExecError('SANDBOX_UNAVAILABLE', 'No sandbox could be started', { cause: error });
      }
    }
  }

  /** Whether to go on after the pause. */
  async #pause(tries: number): Promise<boolean> {
    const delayMs = Math.min(firstDelayMs * 2 ** (tries - 1), delayMsMax);
    try {
      await this.#options.clock.sleep(delayMs, this.#closing.signal);
      return true;
    } catch {
      return false;
    }
  }
}
