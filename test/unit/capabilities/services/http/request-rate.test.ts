import { expect, test } from 'vitest';
import { RequestRate } from '../../../../../src/capabilities/services/http/request-rate.ts';
import { ManualClock } from '../../../base/manual-clock.ts';

const { signal } = new AbortController();

test('Over a long time a rate lets as many through as it says, after those that may come at once', async () => {
  const clock = new ManualClock();
  const rate = new RequestRate(clock);
  let turns = 0;
  for (let asked = 0; asked < 100; asked++) void rate.turn(10, 60_000, signal).then(() => turns++);
  await clock.advance(0);
  expect(turns).toBe(10);
  await clock.advance(4_999);
  expect(turns).toBe(59);
  await clock.advance(1);
  expect(turns).toBe(60);
});

test('A rate below one a second lets one through at once', async () => {
  const clock = new ManualClock();
  const rate = new RequestRate(clock);
  await rate.turn(0.5, 10_000, signal);
  let isNext = false;
  void rate.turn(0.5, 10_000, signal).then(() => (isNext = true));
  await clock.advance(1_999);
  expect(isNext).toBe(false);
  await clock.advance(1);
  expect(isNext).toBe(true);
});

test('Turns that were not used are not saved beyond a second’s', async () => {
  const clock = new ManualClock();
  const rate = new RequestRate(clock);
  await clock.advance(60_000);
  let turns = 0;
  for (let asked = 0; asked < 10; asked++) void rate.turn(3, 60_000, signal).then(() => turns++);
  await clock.advance(0);
  expect(turns).toBe(3);
});

test('A turn is waited for as long as the bound says, and not a moment longer', async () => {
  const clock = new ManualClock();
  const rate = new RequestRate(clock);
  await rate.turn(1, 1_000, signal);
  const second = rate.turn(1, 1_000, signal);
  await expect(rate.turn(1, 1_999, signal)).rejects.toThrow('There are too many requests: 1 a second are allowed');
  const third = rate.turn(1, 2_000, signal);
  await clock.advance(2_000);
  await expect(Promise.all([second, third])).resolves.toHaveLength(2);
});
