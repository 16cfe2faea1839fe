import { expect, test } from 'vitest';
import { clockAnswers } from '../../../../src/capabilities/local/clock.ts';
import { randomAnswers, randomStream } from '../../../../src/capabilities/local/random.ts';
import { wasiAnswers } from '../../../../src/capabilities/local/wasi.ts';
import type { HostAnswer } from '../../../../src/model/operation.ts';
import { ManualClock } from '../../base/manual-clock.ts';

const time = ({ payload }: HostAnswer): bigint => Buffer.from(payload).readBigUInt64LE();
const lengthOf = (length: number): Uint8Array => {
  const request = Buffer.alloc(4);
  request.writeUInt32LE(length);
  return request;
};

test('WASI’s clocks are those of the capability clock', async () => {
  const clock = new ManualClock(1_750_000_000_000);
  const clocks = clockAnswers(clock);
  const answers = wasiAnswers(clocks, randomAnswers(randomStream(new Uint8Array())));
  await clock.advance(250);
  expect(time(answers['wasi.clock'](Uint8Array.of(0)))).toBe(1_750_000_000_250_000_000n);
  expect(time(answers['wasi.clock'](Uint8Array.of(1)))).toBe(250_000_000n);
  expect(answers['wasi.clock'](Uint8Array.of(1))).toEqual(clocks['clock.monotonic']());
});

test('WASI’s chance goes on where that of the capability random ended', () => {
  const seed = Buffer.from('seed');
  const random = randomAnswers(randomStream(seed));
  const answers = wasiAnswers(clockAnswers(new ManualClock()), random);
  const drawn = [answers['wasi.random'](lengthOf(5)), random['random.bytes'](lengthOf(5))];
  expect(Buffer.concat(drawn.map(({ payload }) => payload))).toEqual(Buffer.from(randomStream(seed)(10)));
});
