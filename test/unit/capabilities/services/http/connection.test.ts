import { describe, expect, test } from 'vitest';
import {
  addressesTriedMax,
  connectionFailure,
  dial,
  verifyPeer,
} from '../../../../../src/capabilities/services/http/connection.ts';
import { readPlace } from '../../../../../src/capabilities/services/http/place.ts';
import { HttpFailure } from '../../../../../src/capabilities/services/http/refusals.ts';
import { systemClock } from '../../../../../src/base/clock.ts';
import { ManualClock, settled } from '../../../base/manual-clock.ts';
import { httpServer, rawServer } from './local-servers.ts';

const { signal } = new AbortController();

describe('A connection', () => {
  test('is checked to lead to the address that was judged', () => {
    expect(() => verifyPeer({ remoteAddress: '127.0.0.1' }, '127.0.0.1')).not.toThrow();
    expect(() => verifyPeer({ remoteAddress: '::1' }, '0:0:0:0:0:0:0:1')).not.toThrow();
    expect(() => verifyPeer({ remoteAddress: '127.0.0.2' }, '127.0.0.1')).toThrow(HttpFailure);
    expect(() => verifyPeer({ remoteAddress: undefined }, '127.0.0.1')).toThrow(HttpFailure);
  });

  test('is never made to a name', async () => {
    await using server = await httpServer();
    const place = readPlace(`http://localhost:${server.port}/`);
    await expect(dial(place, ['localhost'], { clock: systemClock }, signal)).rejects.toThrow(
      'A socket was given a name',
    );
    expect(server.connections()).toBe(0);
  });

  test('is tried with a few addresses only', async () => {
    await using server = await httpServer();
    const place = readPlace(`http://good.test:${server.port}/`);
    const dead = Array.from({ length: addressesTriedMax }, (_, at) => `127.0.0.${at + 2}`);
    const reaching = [...dead.slice(1), '127.0.0.1'];
    using connection = await dial(place, reaching, { clock: systemClock }, signal);
    expect(connection.socket.remoteAddress).toBe('127.0.0.1');
    await expect(dial(place, [...dead, '127.0.0.1'], { clock: systemClock }, signal)).rejects.toThrow(/refused/);
    await expect(dial(place, [], { clock: systemClock }, signal)).rejects.toThrow(/no address/);
  });

  test('goes on to the next address when one is silent', async () => {
    const greeted = Promise.withResolvers<void>();
    await using silent = await rawServer((socket) => void socket.once('data', () => greeted.resolve()), '127.0.0.2');
    const clock = new ManualClock();
    const place = readPlace(`https://good.test:${silent.port}/`);
    const refused = expect(dial(place, ['127.0.0.2', '127.0.0.3'], { clock }, signal)).rejects.toThrow(/refused/);
    await greeted.promise;
    await clock.advance(2_999);
    await settled();
    expect(clock.timers).toBe(1);
    await clock.advance(1);
    await refused;
    await silent.quiet();
    expect(clock.timers).toBe(0);
  });
});

test.each([
  ['ECONNREFUSED', 'The connection was refused'],
  ['EHOSTUNREACH', 'There is no way to the host'],
  ['HPE_INVALID_CONSTANT', 'The answer is not HTTP/1.1 (HPE_INVALID_CONSTANT)'],
  ['CERT_HAS_EXPIRED', 'The host could not prove with a certificate that it is the one named (CERT_HAS_EXPIRED)'],
  ['EMFILE', 'The connection failed (EMFILE)'],
  ['constructor', 'The connection failed (constructor)'],
])('The code %s is told as "%s", without the address that node names', (code, message) => {
  const error = Object.assign(new Error('connect E 10.0.0.1:80'), { code });
  expect(connectionFailure(error).message).toBe(message);
});
