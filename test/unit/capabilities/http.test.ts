import { describe, expect, test } from 'vitest';
import { RunStopped } from '../../../src/capabilities/call-context.ts';
import { httpFamily } from '../../../src/capabilities/http.ts';
import { joinHttpAnswer } from '../../../src/capabilities/http-messages.ts';
import { splitParts } from '../../../src/capabilities/parts.ts';
import { fixedLimits } from '../../../src/model/limits.ts';
import type { HostAnswer } from '../../../src/model/operation.ts';
import { callHost, type FakeCall, fakeCall, type FakeCallOptions, textAt } from './fakes.ts';

const url = 'http://good.test/';

function answered(status: number, headers: Readonly<Record<string, string>>, body: string): HostAnswer {
  const answer = { status, headers: Buffer.from(JSON.stringify(headers)), body: Buffer.from(body) };
  return { code: 0, payload: joinHttpAnswer(answer) };
}

function guest(options: FakeCallOptions = {}) {
  const call = fakeCall({ answer: () => answered(200, { a: 'b' }, 'body'), ...options });
  const { functions } = httpFamily(call);
  return {
    call,
    request: (head: object | string, body = ''): unknown =>
      callHost(
        functions,
        'http_request',
        call.block(typeof head === 'string' ? head : JSON.stringify(head)),
        call.block(body),
      ),
    requestAt: (head: bigint, body: bigint): unknown => callHost(functions, 'http_request', head, body),
    status: (): unknown => callHost(functions, 'http_status_code'),
    headers: (): unknown => callHost(functions, 'http_headers'),
  };
}

const warnings = ({ sent }: FakeCall) =>
  sent.flatMap((event) => (event.type === 'log' ? [[event.level, event.message]] : []));

describe('http_request', () => {
  test('asks with the request and the body, and answers with a block', () => {
    const { call, request, status, headers } = guest();
    expect(textAt(call, request({ url, method: 'put', headers: { 'X-A': 'b' } }, 'sent'))).toBe('body');
    const [asked] = call.asked;
    expect(asked?.operation).toBe('http.request');
    expect(splitParts(asked?.request ?? new Uint8Array()).map((part) => Buffer.from(part).toString())).toEqual([
      '{"url":"http://good.test/","method":"PUT","headers":{"x-a":"b"}}',
      'sent',
    ]);
    expect(status()).toBe(200);
    expect(textAt(call, headers())).toBe('{"a":"b"}');
    expect(warnings(call)).toEqual([]);
  });

  test('answers 0 for an empty body, told from a failure by the status', () => {
    const { request, status } = guest({ answer: () => answered(204, {}, '') });
    expect(request({ url })).toBe(0n);
    expect(status()).toBe(204);
  });

  test('frees both of its blocks, after the answer has its own', () => {
    const { call, requestAt } = guest();
    const [head, body] = [call.block(JSON.stringify({ url })), call.block('sent')];
    const order: string[] = [];
    const { write, free } = call.blocks;
    Object.assign(call.blocks, {
      write: (bytes: Uint8Array) => {
        order.push('write');
        return write(bytes);
      },
      free: (address: bigint) => {
        order.push(`free ${address === head ? 'request' : 'body'}`);
        free(address);
      },
    });
    const answer = requestAt(head, body);
    expect(order).toEqual(['write', 'free body', 'free request']);
    expect([...call.held.keys()]).toEqual([answer]);
  });

  test('charges for the bytes of both ways', () => {
    const { call, request } = guest();
    const head = JSON.stringify({ url });
    request(head, '12345');
    const payload = 3 * 4 + 2 + '{"a":"b"}'.length + 'body'.length;
    expect(call.chargedBytes).toBe(head.length + 5 + payload);
  });

  test.each([
    ['no JSON', 'url', /^http_request failed: The request is not a JSON object/],
    [
      'a header that is two',
      { url, headers: { a: 'b\r\nc: d' } },
      /^http_request failed: The request has a header "a" whose/,
    ],
    ['a name to make two lines of the log', { url, headers: { 'a\nb': '' } }, /header "a\\u000ab"/],
  ])('with %s fails without asking, and says why', (_what, head, text) => {
    const { call, request, status, headers } = guest();
    expect(request(head)).toBe(0n);
    expect(status()).toBe(0);
    expect(headers()).toBe(0n);
    expect(call.asked).toEqual([]);
    expect(warnings(call)).toEqual([['warn', expect.stringMatching(text)]]);
    expect(call.held.size).toBe(0);
  });

  test('with addresses that are no blocks fails', () => {
    const { call, requestAt } = guest();
    expect(requestAt(77n, 0n)).toBe(0n);
    expect(requestAt(call.block(JSON.stringify({ url })), 77n)).toBe(0n);
    expect(warnings(call)).toEqual([
      ['warn', 'http_request failed: The request is not a block'],
      ['warn', 'http_request failed: The body is not a block'],
    ]);
  });

  test('sends as many bytes as the grant allows, and not one more', () => {
    const { call, request } = guest();
    expect(request({ url }, 'x'.repeat(1_000))).not.toBe(0n);
    expect(request({ url }, 'x'.repeat(1_001))).toBe(0n);
    expect(call.asked).toHaveLength(1);
    expect(warnings(call)).toEqual([
      ['warn', 'http_request failed: The body has 1001 bytes, more than the 1000 that the policy allows'],
    ]);
  });

  test('that fails outside answers 0, forgets the last answer, and logs why', () => {
    const answers = [answered(200, {}, 'x'), { code: 1, payload: Buffer.from('The connection\nwas refused') }];
    const { call, request, status, headers } = guest({ answer: () => answers.shift() as HostAnswer });
    request({ url });
    expect(status()).toBe(200);
    expect(request({ url })).toBe(0n);
    expect(status()).toBe(0);
    expect(headers()).toBe(0n);
    expect(warnings(call)).toEqual([['warn', 'http_request failed: The connection\\u000awas refused']]);
  });

  test('logs only as much as a call may', () => {
    const { call, request } = guest({ limits: { logBytes: 1_000_000 } });
    for (let failed = 0; failed <= fixedLimits.logLines; failed++) request('');
    expect(call.sent).toHaveLength(fixedLimits.logLines);
    expect(call.meters.logLinesDropped).toBe(1);
  });

  test('lets the end of the run pass', () => {
    const stop = (): never => {
      throw new RunStopped();
    };
    expect(() => guest({ answer: stop }).request({ url })).toThrow(RunStopped);
  });

  test('stops the guest when there is no room for the answer', () => {
    const { call, request, headers } = guest({
      answer: () => {
        call.hasRoom = false;
        return answered(200, { a: 'b' }, 'body');
      },
    });
    expect(request({ url })).toBe(-1n);
    expect(headers()).toBe(-1n);
    expect(call.stops.map(({ kind }) => kind)).toEqual(['KERNEL_MEMORY', 'KERNEL_MEMORY']);
  });
});

describe('Before the first request', () => {
  test('there is no status and there are no headers', () => {
    const { status, headers } = guest();
    expect(status()).toBe(0);
    expect(headers()).toBe(0n);
  });

  test('of a call nothing is left of another call', () => {
    const first = guest();
    first.request({ url });
    expect(first.status()).toBe(200);
    expect(guest().status()).toBe(0);
  });
});

test('http_headers gives a new block each time', () => {
  const { call, request, headers } = guest();
  request({ url });
  const [one, other] = [headers(), headers()];
  expect(one).not.toBe(other);
  expect(textAt(call, one)).toBe(textAt(call, other));
});
