/** What the load process is asked for and what it answers: JSON, one line each. Bytes are written in base64. */

export type Job = CallsJob | ManyJob | EventsJob | PacedJob;

/** What an answer must be to count: status OK, outcome OK, and this output if it is given. */
interface Checked {
  readonly address: string;
  readonly output?: string;
}

/** Unary calls, each worker sending the next one when it has the answer. */
export interface CallsJob extends Checked {
  readonly kind: 'calls';
  readonly path: string;
  /** Messages that are sent in turn. */
  readonly messages: readonly string[];
  readonly connections: number;
  readonly streams: number;
  /** Ends after so many calls … */
  readonly count?: number;
  /** … or when none has begun for so long, whichever is sooner. */
  readonly ms?: number;
}

/** One or more ExecuteMany streams, each with a window of requests that are not answered yet. */
export interface ManyJob extends Checked {
  readonly kind: 'many';
  readonly path: string;
  /** ExecuteManyRequest without its request_id, which the job adds. */
  readonly message: string;
  readonly connections: number;
  readonly window: number;
  readonly ms: number;
}

/** Server streams, read to their end one after the other. */
export interface EventsJob {
  readonly kind: 'events';
  readonly address: string;
  readonly path: string;
  readonly message: string;
  /** Streams at once, all on one connection. */
  readonly streams: number;
  /** No stream begins after this time. */
  readonly ms: number;
}

/** Unary calls at a rate of their own, whatever becomes of those before. */
export interface PacedJob extends Checked {
  readonly kind: 'paced';
  readonly path: string;
  readonly message: string;
  readonly connections: number;
  readonly perSecond: number;
  readonly ms: number;
}

export interface Quantiles {
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly max: number;
}

export interface CallsResult {
  readonly count: number;
  readonly seconds: number;
  readonly latencyUs: Quantiles;
  /** Bytes of all answers, without frames. */
  readonly answerBytes: number;
  readonly failures: number;
  /** What was wrong with the first call that failed. */
  readonly failure?: string;
}

export interface EventsResult {
  /** Streams that were read to their end. */
  readonly streams: number;
  readonly events: number;
  readonly bytes: number;
  readonly seconds: number;
  readonly failures: number;
  readonly failure?: string;
}

export interface PacedResult {
  readonly sent: number;
  readonly seconds: number;
  readonly admitted: number;
  readonly admittedUs: Quantiles;
  /** Answered RESOURCE_EXHAUSTED. */
  readonly refused: number;
  readonly refusedUs: Quantiles;
  readonly failures: number;
  readonly failure?: string;
}

export interface ResultOf {
  readonly calls: CallsResult;
  readonly many: CallsResult;
  readonly events: EventsResult;
  readonly paced: PacedResult;
}
