/**
 * A status that another process of the same server has made: passed on as it is,
 * details included, or read again where it becomes part of a message.
 */

import { fromBinary } from '@bufbuild/protobuf';
import { anyUnpack } from '@bufbuild/protobuf/wkt';
import { Metadata, type ServiceError, status as statusCodes } from '@grpc/grpc-js';
import { ErrorInfoSchema, RetryInfoSchema } from '../gen/google/rpc/error_details_pb.ts';
import { StatusSchema } from '../gen/google/rpc/status_pb.ts';
import type { StatusCode } from '../model/reasons.ts';
import type { Refusal } from './details.ts';
import { detailsKey, pushbackKey, type WireStatus } from './wire-status.ts';
import { millisecondsOf } from './wire-time.ts';

/** The trailers of a status that are its own and not the connection's. */
const keptKeys = [detailsKey, pushbackKey];

/** Thrown by whoever forwards a call; the status leaves as it came. */
export class ForwardedRefusal extends Error {
  readonly status: WireStatus;

  constructor({ code, details, metadata }: Pick<ServiceError, 'code' | 'details' | 'metadata'>) {
    super(details);
    this.name = 'ForwardedRefusal';
    const kept = new Metadata();
    for (const key of keptKeys) for (const value of metadata.get(key)) kept.add(key, value);
    this.status = { code, details, metadata: kept };
  }

  /** Whether a server of ours made the status, not the connection to it. */
  static isOfServer({ metadata }: ServiceError): boolean {
    return metadata.get(detailsKey).length > 0;
  }

  /** Whether the other process did not answer in time. */
  get isDeadline(): boolean {
    return statusCodes[this.status.code] === 'DEADLINE_EXCEEDED';
  }

  /** The refusal that the status was made of, as far as it can be read again. */
  get refusal(): Refusal {
    const [encoded] = this.status.metadata.get(detailsKey);
    const { details } = fromBinary(StatusSchema, encoded instanceof Buffer ? encoded : new Uint8Array());
    const info = details.map((any) => anyUnpack(any, ErrorInfoSchema)).find((one) => one !== undefined);
    const retry = details.map((any) => anyUnpack(any, RetryInfoSchema)).find((one) => one !== undefined);
    return {
      code: (statusCodes[this.status.code] ?? 'INTERNAL') as StatusCode,
      reason: info?.reason ?? '',
      message: this.status.details,
      help: '',
      violations: [],
      metadata: info?.metadata ?? {},
      retryDelayMs: retry?.retryDelay && millisecondsOf(retry.retryDelay),
      subject: '',
    };
  }
}
