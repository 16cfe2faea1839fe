/** The baseline of the execute case: a bare grpc-js server that answers a unary call with the bytes it got. */

import * as grpc from '@grpc/grpc-js';

const identity = (value: Buffer): Buffer => value;
const server = new grpc.Server();
server.addService(
  {
    echo: {
      path: '/bench.Bare/Echo',
      requestStream: false,
      responseStream: false,
      requestSerialize: identity,
      requestDeserialize: identity,
      responseSerialize: identity,
      responseDeserialize: identity,
    },
  },
  { echo: (call: { request: Buffer }, callback: (error: null, value: Buffer) => void) => callback(null, call.request) },
);
server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, port) => {
  if (error) throw error;
  process.stdout.write(`bench ready grpc=127.0.0.1:${port}\n`);
});
process.once('SIGTERM', () => server.forceShutdown());
