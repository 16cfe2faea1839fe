/**
 * ExecutionService on top of execution/. Owns what a stream of events looks
 * like and what ends it; ExecuteMany stands in a file of its own.
 */

import type { MessageInitShape } from '@bufbuild/protobuf';
import { linkSignals } from '../base/signals.ts';
import type { StoredEvent } from '../execution/execution-record.ts';
import type {
  AttachExecutionRequest,
  ExecuteManyRequest,
  ExecuteStreamRequest,
  ExecutionEventSchema,
  ExecutionSchema,
  ExecutionService,
} from '../gen/caisson/v1/execution_pb.ts';
import { AbortReason } from '../model/abort-reason.ts';
import { eventMessage, executionMessage, listedExecutionBytes } from './convert-execution.ts';
import { executeMany } from './execute-many.ts';
import type { ExecutionApi } from './execution-api.ts';
import { actionOf, executionKeyOf, executionQueryOf } from './execution-requests.ts';
import { attachedOptions, detachedOptions, endedByItself, runToEnd } from './execution-runs.ts';
import { fittingItems, pageToken } from './pages.ts';
import type { CallContext, ServiceImplementation } from './service-types.ts';
import { type FaultLog, shuttingDown } from './status.ts';

type EventMessage = MessageInitShape<typeof ExecutionEventSchema>;
type EventStream = AsyncGenerator<{ event: EventMessage }>;

/** Has a request of ExecuteMany run by another process if it belongs there; undefined if it does not. */
export type RunsElsewhere = (
  request: ExecuteManyRequest,
  context: CallContext,
) => Promise<MessageInitShape<typeof ExecutionSchema>> | undefined;

/** The implementation, to be bound to ExecutionService; `faults` takes what ExecuteMany answers as INTERNAL. */
export function executionServiceOf(
  executions: ExecutionApi,
  faults: FaultLog,
  elsewhere?: RunsElsewhere,
): ServiceImplementation<typeof ExecutionService> {
  return {
    async execute(request, context) {
      const snapshot = await runToEnd(executions, actionOf(request, context.metadata), context);
      return { execution: executionMessage(snapshot, { withOutput: true }) };
    },

    executeStream: (request, context) => executeStream(executions, request, context),

    executeMany: (requests, context) =>
      executeMany(requests, {
        executions,
        faults,
        context,
        ...(elsewhere && { elsewhere: (request) => elsewhere(request, context) }),
      }),

    attachExecution: (request, context) => attach(executions, request, context),

    async cancelExecution(request, { metadata }) {
      const snapshot = await executions.cancel(executionKeyOf(request, metadata));
      return { execution: executionMessage(snapshot, { withOutput: true }) };
    },

    getExecution(request, { metadata }) {
      const snapshot = executions.get(executionKeyOf(request, metadata));
      return { execution: executionMessage(snapshot, { withOutput: true }) };
    },

    listExecutions(request, { metadata }) {
      const { key, ...query } = executionQueryOf(request, metadata);
      const page = executions.list(query);
      const fitting = fittingItems(page.executions, listedExecutionBytes);
      const next = fitting.length < page.executions.length ? fitting.at(-1)?.id : page.next;
      return {
        executions: fitting.map((snapshot) => executionMessage(snapshot, { withOutput: false })),
        nextPageToken: next === undefined ? '' : pageToken(key, next),
      };
    },
  };
}

async function* executeStream(
  executions: ExecutionApi,
  request: ExecuteStreamRequest,
  context: CallContext,
): EventStream {
  const options = request.detached ? detachedOptions(context) : attachedOptions(context);
  const handle = executions.start(actionOf(request, context.metadata), options);
  const events = executions.attach(handle, 0, context.signal);
  yield* eventStream(events, { executionId: handle.id, afterSequence: 0 });
  endedByItself(await handle.ended);
}

/** A reader, unlike a run, ends at once when the server begins to shut down. */
async function* attach(executions: ExecutionApi, request: AttachExecutionRequest, context: CallContext): EventStream {
  const key = executionKeyOf(request, context.metadata);
  using link = linkSignals(context.signal, context.draining);
  const events = executions.attach(key, request.afterSequence, link.signal);
  yield* eventStream(events, { executionId: key.id, afterSequence: Number(request.afterSequence) });
}

/** The events as messages. A shutdown refuses with the last sequence sent, to attach with again. */
async function* eventStream(
  events: AsyncIterable<StoredEvent>,
  { executionId, afterSequence }: { readonly executionId: string; readonly afterSequence: number },
): EventStream {
  let previous = afterSequence;
  try {
    for await (const stored of events) {
      yield { event: eventMessage(stored, { executionId, previous }) };
      previous = stored.sequence;
    }
  } catch (error) {
    if (!(error instanceof AbortReason && error.kind === 'SHUTDOWN')) throw error;
    throw shuttingDown({ execution_id: executionId, last_sequence: String(previous) });
  }
}
