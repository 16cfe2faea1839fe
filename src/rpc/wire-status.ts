/** The form of a status on the wire, and the keys of the trailers that are its own. */

import type { Metadata } from '@grpc/grpc-js';

/** A status as grpc-js takes it from a handler. */
export interface WireStatus {
  readonly code: number;
  readonly details: string;
  readonly metadata: Metadata;
}

/** Milliseconds that a retrying client waits, whatever its own policy says. */
export const pushbackKey = 'grpc-retry-pushback-ms';
/** The google.rpc.Status, encoded. */
export const detailsKey = 'grpc-status-details-bin';
