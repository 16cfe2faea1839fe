import { expect, test } from 'vitest';
import { Received, rememberedMax, Sent } from '../../../src/sandbox/remembered.ts';

test('An object goes along once, and by its number from then on', () => {
  const [sent, received] = [new Sent(), new Received()];
  const [one, other] = [{ name: 'one' }, { name: 'other' }];
  const references = [one, other, one].map((value) => sent.refer(value));
  expect(references).toEqual([{ number: 0, value: one }, { number: 1, value: other }, { number: 0 }]);
  expect(references.map((reference) => received.resolve(reference))).toEqual([one, other, one]);
});

test('Both sides forget all when there are too many, and agree all the same', () => {
  const [sent, received] = [new Sent(), new Received()];
  const values = Array.from({ length: 2 * rememberedMax + 1 }, (_, index) => ({ index }));
  for (const value of [...values, ...values.toReversed()]) {
    const reference = sent.refer(value);
    expect(reference.number).toBeLessThan(rememberedMax);
    expect(received.resolve(reference)).toBe(value);
  }
});
