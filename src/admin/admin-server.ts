/**
 * The HTTP listener for people and machines that operate the server: liveness
 * and readiness. It knows nothing of plugins or executions; what makes the
 * server ready is handed in as named checks.
 */

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** Answers with what stands against being ready, or undefined. */
export type ReadinessCheck = () => string | undefined;

export interface AdminOptions {
  readonly host: string;
  /** 0 for any free port. */
  readonly port: number;
  readonly checks: Readonly<Record<string, ReadinessCheck>>;
}

const requestBytesMax = 16_384;
const requestTimeoutMs = 10_000;

export class AdminServer implements AsyncDisposable {
  readonly #server: Server;
  readonly #checks: AdminOptions['checks'];

  private constructor(options: AdminOptions) {
    this.#checks = options.checks;
    this.#server = createServer(
      { maxHeaderSize: requestBytesMax, requestTimeout: requestTimeoutMs },
      (request, response) => this.#answer(request, response),
    );
  }

  /** Resolves when listening; rejects with the listener's error, such as EADDRINUSE. */
  static async start(options: AdminOptions): Promise<AdminServer> {
    const admin = new AdminServer(options);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    admin.#server.once('error', reject);
    admin.#server.listen(options.port, options.host, resolve);
    await promise;
    admin.#server.off('error', reject);
    return admin;
  }

  /** The bound port. */
  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#server.close(() => resolve());
    this.#server.closeAllConnections();
    await promise;
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    if (request.method !== 'GET' && request.method !== 'HEAD')
      return send(response, 405, { error: 'Only GET is answered' });
    switch (request.url?.split('?')[0]) {
      case '/healthz':
        return send(response, 200, { status: 'ok' });
      case '/readyz':
        return this.#readiness(response);
      default:
        return send(response, 404, { error: 'There are /healthz and /readyz' });
    }
  }

  #readiness(response: ServerResponse): void {
    const reasons = Object.entries(this.#checks).flatMap(([name, check]) => {
      const reason = check();
      return reason === undefined ? [] : [{ check: name, reason }];
    });
    send(response, reasons.length === 0 ? 200 : 503, { status: reasons.length === 0 ? 'ready' : 'not ready', reasons });
  }
}

function send(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' });
  response.end(`${JSON.stringify(body)}\n`);
}
