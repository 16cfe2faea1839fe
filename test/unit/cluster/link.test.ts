import { describe, expect, test } from 'vitest';
import { type Handlers, Link, LinkEnded, pendingMax } from '../../../src/cluster/link.ts';
import { ExecError } from '../../../src/model/exec-error.ts';
import { settled } from '../base/manual-clock.ts';
import { socketPair } from './pairs.ts';

interface Echo {
  readonly requests: {
    readonly echo: { readonly body: unknown; readonly answer: unknown };
    readonly fail: { readonly body: 'refusal' | 'fault'; readonly answer: null };
    readonly never: { readonly body: null; readonly answer: null };
  };
  readonly notices: { readonly note: string };
}

interface Silent {
  readonly requests: { readonly unused: { readonly body: null; readonly answer: null } };
  readonly notices: { readonly unused: null };
}

const silent: Handlers<Silent> = { requests: { unused: async () => null }, notices: { unused: () => {} } };

async function linked() {
  const pair = await socketPair();
  const notes: string[] = [];
  const asked: Link<Echo, Silent> = new Link<Echo, Silent>(pair.other, {
    requests: {
      echo: async (body) => body,
      fail: async (what) => {
        if (what === 'fault') throw new TypeError('secret');
        throw new ExecError('QUEUE_FULL', 'no room', { retryDelayMs: 70, metadata: { a: 'b' }, violations: [] });
      },
      never: () => new Promise(() => {}),
    },
    notices: { note: (text) => void notes.push(text) },
  });
  const asking = new Link<Silent, Echo>(pair.one, silent);
  return { ...pair, notes, asked, asking };
}

describe('A link', () => {
  test('carries requests and their answers, whatever their order and size', async () => {
    await using pair = await linked();
    const large = new Uint8Array(5_000_000).fill(7);
    const answers = await Promise.all([
      pair.asking.request('echo', { text: 'ä', none: undefined, map: new Map([[1, 2n]]) }),
      pair.asking.request('echo', large),
      pair.asking.request('echo', null),
    ]);
    expect(answers[0]).toEqual({ text: 'ä', none: undefined, map: new Map([[1, 2n]]) });
    expect(Buffer.compare(answers[1] as Uint8Array, large)).toBe(0);
    expect(answers[2]).toBeNull();
  });

  test('carries notices in order', async () => {
    await using pair = await linked();
    for (let index = 0; index < 1_000; index++) pair.asking.tell('note', `${index}`);
    await pair.asking.request('echo', null);
    expect(pair.notes).toEqual(Array.from({ length: 1_000 }, (_, index) => `${index}`));
  });

  test('carries a refusal whole, and of a fault nothing but that there was one', async () => {
    await using pair = await linked();
    await expect(pair.asking.request('fail', 'refusal')).rejects.toMatchObject({
      reason: 'QUEUE_FULL',
      message: 'no room',
      retryDelayMs: 70,
      metadata: { a: 'b' },
    });
    await expect(pair.asking.request('fail', 'fault')).rejects.toMatchObject({
      reason: 'INTERNAL',
      message: 'internal error',
    });
  });

  test('gives up a request whose signal aborts, and goes on', async () => {
    await using pair = await linked();
    const giving = new AbortController();
    const request = pair.asking.request('never', null, giving.signal);
    giving.abort(new Error('enough'));
    await expect(request).rejects.toThrow('enough');
    await expect(pair.asking.request('never', null, giving.signal)).rejects.toThrow('enough');
    expect(await pair.asking.request('echo', 1)).toBe(1);
  });

  test('fails what is pending when it ends, and what comes after', async () => {
    await using pair = await linked();
    const request = pair.asking.request('never', null);
    pair.other.destroy();
    await expect(request).rejects.toThrow(LinkEnded);
    await pair.asking.ended;
    await expect(pair.asking.request('echo', 1)).rejects.toThrow(LinkEnded);
    pair.asking.tell('note', 'lost');
  });

  test('refuses a request beyond the bound of those that wait', async () => {
    await using pair = await linked();
    const waiting = Array.from({ length: pendingMax }, () => pair.asking.request('never', null));
    for (const one of waiting) one.catch(() => {});
    await expect(pair.asking.request('echo', 1)).rejects.toMatchObject({ reason: 'PROCESS_UNAVAILABLE' });
    pair.asking[Symbol.dispose]();
    await Promise.allSettled(waiting);
  });

  test('refuses a frame beyond the bound', async () => {
    await using pair = await linked();
    const large = new Uint8Array(33_554_432);
    await expect(pair.asking.request('echo', large)).rejects.toThrow('too large');
    const fitting = (await pair.asking.request('echo', large.subarray(0, 33_000_000))) as Uint8Array;
    expect(fitting).toHaveLength(33_000_000);
    pair.one.write(Buffer.from([0xff, 0xff, 0xff, 0xff]));
    await pair.asked.ended;
    await settled();
  });
});
