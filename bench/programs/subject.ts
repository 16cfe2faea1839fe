/** What the metering case measures: a module, and how to have it do one amount of work again and again. */

export interface Subject {
  readonly name: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
  /**
   * Starts the module in an instance of its own. What comes back does the work so
   * many times and returns a number by which results are compared.
   */
  start(instantiate: Instantiate): (turns: number) => number;
}

/** Instantiates one form of a module, its start and `_initialize` functions included. */
export type Instantiate = (imports: WebAssembly.Imports) => WebAssembly.Instance;
