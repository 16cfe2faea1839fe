/** A service that only the leader implements: followers pass every call of it on. */

import type { DescMethod, DescService, Message } from '@bufbuild/protobuf';
import type { RpcPeer } from '../rpc/peer.ts';
import type { CallContext, ServiceImplementation } from '../rpc/service-types.ts';
import { passedOn } from './passed-on.ts';

type AnyMethod = (request: never, context: CallContext) => unknown;

/** The implementation, for services without methods that stream both ways. */
export function leaderService<Service extends DescService>(
  descriptor: Service,
  leader: RpcPeer,
): ServiceImplementation<Service> {
  const methods = descriptor.methods.map((method) => [method.localName, passing(method, leader)] as const);
  return Object.fromEntries(methods) as unknown as ServiceImplementation<Service>;
}

function passing(method: DescMethod, leader: RpcPeer): AnyMethod {
  switch (method.methodKind) {
    case 'unary':
      return (request: Message, context) => passedOn(leader.unary(method, request, context));
    case 'client_streaming':
      return (requests: AsyncIterable<Message>, context) => passedOn(leader.clientStream(method, requests, context));
    case 'server_streaming':
      return (request: Message, context) => passedOn(leader.serverStream(method, request, context));
    case 'bidi_streaming':
      throw new TypeError(`Calls of ${method.name} cannot be passed on`);
  }
}
