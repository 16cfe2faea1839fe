import { describe, expect, test } from 'vitest';
import { progressReporter } from '../../../src/capabilities/progress.ts';
import { fixedLimits } from '../../../src/model/limits.ts';
import { callHost, fakeCall } from './fakes.ts';

function setUp() {
  const call = fakeCall();
  const { functions, flush } = progressReporter(call);
  const progress = (fraction: number, message: bigint = 0n, data: bigint = 0n): unknown =>
    callHost(functions, 'progress', fraction, message, data);
  const fractions = (): unknown[] => call.sent.map((event) => event.type === 'progress' && event.fraction);
  return { call, progress, flush, fractions };
}

describe('progress', () => {
  test('sends fraction, message and data, and frees both blocks', () => {
    const { call, progress } = setUp();
    progress(0.25, call.block('a quarter'), call.block(Uint8Array.of(1, 2)));
    progress(1);
    expect(call.sent).toEqual([
      { type: 'progress', fraction: 0.25, message: 'a quarter', data: Uint8Array.of(1, 2) },
      { type: 'progress', fraction: 1, message: '', data: new Uint8Array() },
    ]);
    expect(call.held.size).toBe(0);
    expect(call.meters).toMatchObject({ progressEvents: 2, progressCoalesced: 0 });
  });

  test.each([
    [Number.NaN, undefined],
    [-0.1, undefined],
    [Number.NEGATIVE_INFINITY, undefined],
    [-0, 0],
    [0, 0],
    [1.5, 1],
    [Number.POSITIVE_INFINITY, 1],
  ])('takes the fraction %d for %s', (fraction, expected) => {
    const { call, progress } = setUp();
    progress(fraction);
    const [event] = call.sent;
    expect(event !== undefined && 'fraction' in event).toBe(expected !== undefined);
    expect(event).toMatchObject(expected === undefined ? {} : { fraction: expected });
  });

  test('cuts message and data, and makes the message well-formed', () => {
    const { call, progress } = setUp();
    const { progressMessageBytes, progressDataBytes } = fixedLimits;
    progress(0, call.block('m'.repeat(progressMessageBytes)), call.block(new Uint8Array(progressDataBytes).fill(1)));
    progress(
      0,
      call.block('m'.repeat(progressMessageBytes + 1)),
      call.block(new Uint8Array(progressDataBytes + 1).fill(1)),
    );
    progress(0, call.block(Uint8Array.of(0xff)));
    expect(call.sent).toMatchObject([
      { message: 'm'.repeat(progressMessageBytes), data: new Uint8Array(progressDataBytes).fill(1) },
      { message: `${'m'.repeat(progressMessageBytes - 3)}…`, data: new Uint8Array(progressDataBytes).fill(1) },
      { message: '\ufffd' },
    ]);
  });

  test('charges for what it copies of message and data, also of reports that are merged', () => {
    const { call, progress } = setUp();
    progress(0, call.block('four'), call.block(Uint8Array.of(1, 2)));
    expect(call.chargedBytes).toBe(6);
    call.isCrowded = true;
    progress(0, call.block('four'), call.block(Uint8Array.of(1, 2)));
    expect(call.chargedBytes).toBe(12);
    progress(0, call.block('m'.repeat(1_000_000)), call.block(new Uint8Array(1_000_000)));
    expect(call.chargedBytes).toBe(12 + fixedLimits.progressMessageBytes + 1 + fixedLimits.progressDataBytes);
  });

  test('with addresses of no blocks has neither message nor data', () => {
    const { call, progress } = setUp();
    progress(0.5, 4_444n, -1n);
    expect(call.sent).toMatchObject([{ fraction: 0.5, message: '', data: new Uint8Array() }]);
  });

  test('merges what comes too fast, sends the newest at the end, and counts what it merged', () => {
    const { call, progress, flush } = setUp();
    for (let step = 1; step <= 1_000; step++) progress(step / 1_000);
    const sent = call.sent.length;
    expect(sent).toBeGreaterThan(0);
    expect(sent).toBeLessThanOrEqual(fixedLimits.progressPerSecond / 10);
    flush();
    expect(call.sent).toHaveLength(sent + 1);
    expect(call.sent.at(-1)).toMatchObject({ fraction: 1 });
    expect(call.meters).toMatchObject({ progressEvents: 1_000, progressCoalesced: 1_000 - sent - 1 });
    flush();
    expect(call.sent).toHaveLength(sent + 1);
  });

  test('sends the newest with the next one that is allowed', async () => {
    const { call, progress, fractions } = setUp();
    for (let step = 0; step < 200; step++) progress(0.1);
    const sent = call.sent.length;
    await call.clock.advance(2);
    progress(0.2);
    expect(fractions().slice(sent)).toEqual([0.2]);
    expect(call.meters.progressCoalesced).toBe(200 - sent);
  });

  test('sends no more in any second than the rate allows', async () => {
    const { call, progress } = setUp();
    for (let ms = 0; ms < 1_000; ms++) {
      for (let step = 0; step < 5; step++) progress(0.5);
      await call.clock.advance(1);
    }
    expect(call.sent.length).toBeLessThanOrEqual(fixedLimits.progressPerSecond);
    expect(call.sent.length).toBeGreaterThan(fixedLimits.progressPerSecond * 0.9);
  });

  test('is merged while the main thread is behind', () => {
    const { call, progress, flush, fractions } = setUp();
    call.isCrowded = true;
    for (const fraction of [0.1, 0.2, 0.3]) progress(fraction);
    expect(call.sent).toEqual([]);
    call.isCrowded = false;
    progress(0.4);
    expect(fractions()).toEqual([0.4]);
    expect(call.meters.progressCoalesced).toBe(3);
    flush();
    expect(fractions()).toEqual([0.4]);
  });
});
