/**
 * One page of the executions of all processes: their pages, asked for with the
 * same token and put in order. What ends a page of one process ends the whole
 * page, since that process may have more that would come before the rest.
 */

import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import {
  type Execution,
  ExecutionSchema,
  ExecutionService,
  type ListExecutionsRequest,
  type ListExecutionsResponse,
  ListExecutionsResponseSchema,
} from '../gen/caisson/v1/execution_pb.ts';
import { ExecError } from '../model/exec-error.ts';
import { executionQueryOf } from '../rpc/execution-requests.ts';
import { ForwardedRefusal } from '../rpc/forwarded-refusal.ts';
import { fittingItems, pageToken } from '../rpc/pages.ts';
import { processUnavailable, type RpcPeer } from '../rpc/peer.ts';
import type { CallContext, ServiceImplementation } from '../rpc/service-types.ts';
import { wallClockMs } from '../rpc/wall-clock.ts';

/** How long one process waits for another's page: one that hangs refuses the whole. */
const pageMsMax = 5_000;

export interface ListSources {
  readonly local: Pick<ServiceImplementation<typeof ExecutionService>, 'listExecutions'>;
  readonly others: readonly RpcPeer[];
}

/** Executions of a process that has ended are gone, and not on the page. */
export async function wholeList(
  { local, others }: ListSources,
  request: ListExecutionsRequest,
  context: CallContext,
): Promise<ListExecutionsResponse> {
  const { key, limit } = executionQueryOf(request, context.metadata);
  const own = create(ListExecutionsResponseSchema, await local.listExecutions(request, context));
  const pages = await Promise.all(others.map((peer) => pageOf(peer, request, context)));
  const { executions, next } = mergedPage([own, ...pages], limit);
  const response = { executions, nextPageToken: next === undefined ? '' : pageToken(key, next) };
  return create(ListExecutionsResponseSchema, response);
}

async function pageOf(
  peer: RpcPeer,
  request: ListExecutionsRequest,
  context: CallContext,
): Promise<ListExecutionsResponse> {
  const { metadata, signal, span } = context;
  const deadlineMs = Math.min(context.deadlineMs, wallClockMs() + pageMsMax);
  try {
    const call = { metadata, signal, span, deadlineMs };
    const { bytes } = await peer.unary(ExecutionService.method.listExecutions, request, call);
    return fromBinary(ListExecutionsResponseSchema, bytes);
  } catch (error) {
    if (error instanceof ForwardedRefusal && error.isDeadline && deadlineMs < context.deadlineMs)
      throw processUnavailable(error);
    if (error instanceof ExecError && error.reason === 'PROCESS_UNAVAILABLE')
      return create(ListExecutionsResponseSchema);
    throw error;
  }
}

/** Newest first; `next` is the id after which the next page begins. */
export function mergedPage(
  pages: readonly Pick<ListExecutionsResponse, 'executions' | 'nextPageToken'>[],
  limit: number,
): { readonly executions: Execution[]; readonly next: string | undefined } {
  const ends = pages.flatMap(({ executions, nextPageToken }) =>
    nextPageToken === '' ? [] : (executions.at(-1)?.id ?? []),
  );
  const end = ends.toSorted().at(-1) ?? '';
  const all = pages.flatMap(({ executions }) => executions).toSorted((one, other) => (one.id < other.id ? 1 : -1));
  const certain = all.filter(({ id }) => id >= end).slice(0, limit);
  const executions = [...fittingItems(certain, (execution) => toBinary(ExecutionSchema, execution).length)];
  const isWhole = ends.length === 0 && executions.length === all.length;
  return { executions, next: isWhole ? undefined : executions.at(-1)?.id };
}
