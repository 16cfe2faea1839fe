import { expect, test } from 'vitest';
import { sessionOwner } from '../../../src/cluster/session-owner.ts';

const session = { tenant: 'acme', plugin: 'notes', sessionId: 's-1' };

test('A session has one owner, whoever asks', () => {
  expect(sessionOwner({ ...session }, 4)).toBe(sessionOwner(session, 4));
  expect(sessionOwner(session, 1)).toBe(0);
});

test('Sessions are spread over all processes', () => {
  const owners = Array.from({ length: 400 }, (_, index) => sessionOwner({ ...session, sessionId: `${index}` }, 4));
  for (let number = 0; number < 4; number++) {
    expect(owners.filter((owner) => owner === number).length).toBeGreaterThan(50);
  }
});

test('Names are told apart however they are cut', () => {
  const one = Array.from({ length: 64 }, (_, index) =>
    sessionOwner({ ...session, tenant: `a${index}`, plugin: 'b' }, 64),
  );
  const other = Array.from({ length: 64 }, (_, index) =>
    sessionOwner({ ...session, tenant: 'a', plugin: `${index}b` }, 64),
  );
  expect(one).not.toEqual(other);
});
