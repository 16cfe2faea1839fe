/** A progress bar on a terminal; silent where stderr is none. Wraps cli-progress. */

import cliProgress from 'cli-progress';
import type { Progress } from '../gen/caisson/v1/execution_pb.ts';
import { type Output, shown } from './output.ts';

export interface ProgressBar extends Disposable {
  update(progress: Progress): void;
  /** Writes a line above the bar. */
  note(text: string): void;
}

const totalSteps = 1_000;
const barWidth = 30;

/** A bar that appears with the first progress and is gone once disposed. */
export function progressBarOn(output: Output): ProgressBar {
  return output.stderr.isTTY === true ? new TerminalBar(output) : new NoBar(output);
}

class NoBar implements ProgressBar {
  readonly #output: Output;

  constructor(output: Output) {
    this.#output = output;
  }

  update(): void {}

  note(text: string): void {
    this.#output.note(text);
  }

  [Symbol.dispose](): void {}
}

class TerminalBar implements ProgressBar {
  readonly #output: Output;
  readonly #bar: cliProgress.SingleBar;
  #value = 0;
  #payload = { share: '', message: '' };
  #isShown = false;

  constructor(output: Output) {
    this.#output = output;
    this.#bar = new cliProgress.SingleBar({
      stream: output.stderr,
      format: '{bar} {share} {message}',
      barsize: barWidth,
      barCompleteChar: '█',
      barIncompleteChar: '░',
      clearOnComplete: true,
      hideCursor: true,
      // Interrupts are ours: the first one cancels the execution.
      gracefulExit: false,
      emptyOnZero: true,
    });
  }

  update({ fraction, message }: Progress): void {
    if (fraction !== undefined) this.#value = Math.round(Math.min(Math.max(fraction, 0), 1) * totalSteps);
    const share = fraction === undefined ? '  …' : `${Math.round((this.#value * 100) / totalSteps)}%`.padStart(4);
    this.#payload = { share, message: shown(message) };
    if (this.#isShown) this.#bar.update(this.#value, this.#payload);
    else this.#show();
  }

  note(text: string): void {
    const wasShown = this.#isShown;
    this.#hide();
    this.#output.note(text);
    if (wasShown) this.#show();
  }

  [Symbol.dispose](): void {
    this.#hide();
  }

  #show(): void {
    this.#bar.start(totalSteps, this.#value, this.#payload);
    this.#isShown = true;
  }

  #hide(): void {
    if (this.#isShown) this.#bar.stop();
    this.#isShown = false;
  }
}
