import { describe, expect, test } from 'vitest';
import { untilStopped } from '../../../../src/capabilities/services/until-stopped.ts';
import { AbortReason } from '../../../../src/model/abort-reason.ts';

const reason = new AbortReason('CANCELED');

describe('Waiting until stopped', () => {
  test('answers as the work does, or fails as it does', async () => {
    const { signal } = new AbortController();
    await expect(untilStopped(signal, () => Promise.resolve(5))).resolves.toBe(5);
    await expect(untilStopped(signal, () => Promise.reject(new Error('no')))).rejects.toThrow('no');
  });

  test('rejects with the reason as soon as the signal aborts, and heeds the late failure of the work', async () => {
    const controller = new AbortController();
    const work = Promise.withResolvers<never>();
    const waiting = untilStopped(controller.signal, () => work.promise);
    controller.abort(reason);
    await expect(waiting).rejects.toBe(reason);
    work.reject(new Error('late'));
  });

  test('begins no work for a signal that has aborted already', async () => {
    let isBegun = false;
    const work = (): Promise<void> => {
      isBegun = true;
      return Promise.resolve();
    };
    await expect(untilStopped(AbortSignal.abort(reason), work)).rejects.toBe(reason);
    expect(isBegun).toBe(false);
  });
});
