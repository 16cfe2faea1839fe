/**
 * Where clients connect: listens for all processes and hands each connection to
 * whoever takes it, unread. Knows nothing of processes.
 */

import { chmod } from 'node:fs/promises';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { isLoopbackHost } from '../base/loopback.ts';
import { ExecError } from '../model/exec-error.ts';
import type { Log } from '../model/log.ts';
import { removeStaleSocket, socketMode } from '../rpc/listen.ts';

export type DoorPlace = { readonly host: string; readonly port: number } | { readonly path: string };

export interface FrontDoorOptions {
  /** Port 0 means any free one. */
  readonly places: readonly DoorPlace[];
  readonly log: Log;
  /** Takes a connection, of which nothing has been read. */
  readonly take: (connection: Socket) => void;
}

export class FrontDoor implements Disposable {
  readonly #options: FrontDoorOptions;
  readonly #servers: Server[] = [];
  #addresses: readonly string[] = [];

  private constructor(options: FrontDoorOptions) {
    this.#options = options;
  }

  /** Resolves when all places are bound; otherwise none stays bound. Throws INTERNAL naming the place. */
  static async open(options: FrontDoorOptions): Promise<FrontDoor> {
    const door = new FrontDoor(options);
    try {
      for (const place of options.places) door.#addresses = [...door.#addresses, await door.#bind(place)];
    } catch (error) {
      door[Symbol.dispose]();
      throw error;
    }
    const { log } = options;
    log.info({ addresses: door.#addresses }, 'Serving gRPC');
    const reachable = options.places.filter((place) => 'host' in place && !isLoopbackHost(place.host));
    if (reachable.length > 0) log.warn({ addresses: reachable }, 'Serving other machines without authentication');
    return door;
  }

  /** As bound: "host:port" with real ports, and "unix:/path". */
  get addresses(): readonly string[] {
    return this.#addresses;
  }

  /** Takes no further connection. Those that were handed on stay: to wait for the servers would be to wait for them. */
  [Symbol.dispose](): void {
    for (const server of this.#servers) if (server.listening) server.close();
  }

  async #bind(place: DoorPlace): Promise<string> {
    if ('path' in place) {
      await removeStaleSocket(place.path);
      await this.#listen(place);
      await chmod(place.path, socketMode);
      return `unix:${place.path}`;
    }
    const { port } = (await this.#listen(place)).address() as AddressInfo;
    return place.host.includes(':') ? `[${place.host}]:${port}` : `${place.host}:${port}`;
  }

  #listen(place: DoorPlace): Promise<Server> {
    // Paused: what the client sends belongs to whoever gets the connection.
    const server = createServer({ pauseOnConnect: true, noDelay: true }, this.#options.take);
    return new Promise((resolve, reject) => {
      server.once('error', (error) => reject(refusal(place, error)));
      server.listen(place, () => {
        server.on('error', (error) => this.#options.log.error({ error }, 'Cannot accept a connection'));
        this.#servers.push(server);
        resolve(server);
      });
    });
  }
}

function refusal(place: DoorPlace, error: Error): ExecError {
  const where = 'path' in place ? place.path : `${place.host}:${place.port}`;
  return new ExecError('INTERNAL', `Cannot listen on "${where}": ${error.message}`, { cause: error });
}
