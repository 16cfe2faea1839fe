/** ExecutionService of one process of several: calls that belong to another process are passed on to it. */

import { create, fromBinary, type MessageInitShape } from '@bufbuild/protobuf';
import {
  type ExecuteManyRequest,
  ExecuteRequestSchema,
  ExecuteResponseSchema,
  ExecutionSchema,
  ExecutionService,
} from '../gen/caisson/v1/execution_pb.ts';
import type { RpcPeer } from '../rpc/peer.ts';
import type { CallContext, ServiceImplementation } from '../rpc/service-types.ts';
import { passedOn } from './passed-on.ts';
import type { Routes } from './routes.ts';
import { wholeList } from './whole-list.ts';

type Executions = ServiceImplementation<typeof ExecutionService>;

/** `local` answers what belongs here. */
export function routedExecutions(local: Executions, routes: Routes): Executions {
  const { method } = ExecutionService;
  return {
    execute(request, context) {
      const peer = routes.ofRun(request, context.metadata);
      return peer ? passedOn(peer.unary(method.execute, request, context)) : local.execute(request, context);
    },

    executeStream(request, context) {
      const peer = routes.ofRun(request, context.metadata);
      if (!peer) return local.executeStream(request, context);
      return passedOn(peer.serverStream(method.executeStream, request, context));
    },

    // Each of its requests goes its own way: see runElsewhere.
    executeMany: (requests, context) => local.executeMany(requests, context),

    attachExecution(request, context) {
      const peer = routes.ofExecution(request.id);
      if (!peer) return local.attachExecution(request, context);
      return passedOn(peer.serverStream(method.attachExecution, request, context));
    },

    cancelExecution(request, context) {
      const peer = routes.ofExecution(request.id);
      if (!peer) return local.cancelExecution(request, context);
      return passedOn(peer.unary(method.cancelExecution, request, context));
    },

    getExecution(request, context) {
      const peer = routes.ofExecution(request.id);
      if (!peer) return local.getExecution(request, context);
      return passedOn(peer.unary(method.getExecution, request, context));
    },

    listExecutions: (request, context) => wholeList({ local, others: routes.others() }, request, context),
  };
}

/** Has a request of ExecuteMany run by the process that it belongs to; undefined if that is this one. */
export function runElsewhere(
  routes: Routes,
): (
  request: ExecuteManyRequest,
  context: CallContext,
) => Promise<MessageInitShape<typeof ExecutionSchema>> | undefined {
  return (request, context) => {
    const peer = routes.ofRun(request, context.metadata);
    return peer && runThere(peer, request, context);
  };
}

async function runThere(
  peer: RpcPeer,
  many: ExecuteManyRequest,
  context: CallContext,
): Promise<MessageInitShape<typeof ExecutionSchema>> {
  const { $typeName: _typeName, ...fields } = many;
  const request = create(ExecuteRequestSchema, fields);
  const { bytes } = await peer.unary(ExecutionService.method.execute, request, context);
  return fromBinary(ExecuteResponseSchema, bytes).execution ?? create(ExecutionSchema);
}
