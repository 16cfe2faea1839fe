/** How many runs of each plugin are under way, and what waits for the last of them to end. */

export class RunsUnderWay {
  /** Only plugins that have any; bounded by whoever admits runs. */
  readonly #counts = new Map<string, number>();
  readonly #waiting = new Map<string, () => void>();

  begin(plugin: string): void {
    this.#counts.set(plugin, (this.#counts.get(plugin) ?? 0) + 1);
  }

  end(plugin: string): void {
    const left = (this.#counts.get(plugin) ?? 0) - 1;
    if (left > 0) {
      this.#counts.set(plugin, left);
      return;
    }
    this.#counts.delete(plugin);
    const work = this.#waiting.get(plugin);
    this.#waiting.delete(plugin);
    work?.();
  }

  /** Calls `work` when the last run of the plugin ends, instead of what was to be called before; never if none is under way. */
  atEnd(plugin: string, work: () => void): void {
    if (this.#counts.has(plugin)) this.#waiting.set(plugin, work);
  }
}
