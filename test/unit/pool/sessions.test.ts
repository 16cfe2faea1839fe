import { expect, test } from 'vitest';
import { Sessions, sessionsMax } from '../../../src/pool/sessions.ts';

test('Sessions are bound to their threads up to the bound, beyond which the one used longest ago is not', () => {
  const sessions = new Sessions<object>();
  const [one, other] = [{}, {}];
  for (let n = 0; n < sessionsMax; n++) sessions.pin(`s${n}`, one);
  expect(sessions.threadOf('s0')).toBe(one);
  expect(sessions.countOf(one)).toBe(sessionsMax);
  sessions.pin('one more', other);
  expect(sessions.threadOf('s0')).toBe(one);
  expect(sessions.threadOf('s1')).toBeUndefined();
  expect(sessions.threadOf('one more')).toBe(other);
  expect(sessions.countOf(one)).toBe(sessionsMax - 1);
});
