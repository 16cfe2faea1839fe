import { create, toBinary } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import { AnswerCheck } from '../../../bench/load/answers.ts';
import { echoResponse } from '../../../bench/servers/echo-response.ts';
import {
  ExecuteManyResponseSchema,
  ExecuteRequestSchema,
  ExecuteResponseSchema,
  ExecuteStreamResponseSchema,
  Outcome,
} from '../../../src/gen/caisson/v1/execution_pb.ts';

const output = Buffer.from('hello');
const expected = output.toString('base64');

function response(outcome: Outcome): Buffer {
  const execution = { id: 'an-id', outcome, output, plugin: 'echo@1.0.0' };
  return Buffer.from(toBinary(ExecuteResponseSchema, create(ExecuteResponseSchema, { execution })));
}

describe('The check of answers', () => {
  test('counts no failure for the right answers', () => {
    const check = new AnswerCheck(expected);
    for (let answer = 0; answer < 40; answer++) check.response(response(Outcome.OK));
    check.status({ code: 0, message: '' });
    expect(check.summary).toEqual({ failures: 0 });
    expect(check.bytes).toBe(40 * response(Outcome.OK).length);
  });

  test('counts other outcomes, other outputs and other statuses, and keeps the words of the first', () => {
    const check = new AnswerCheck(Buffer.from('goodbye').toString('base64'));
    check.response(response(Outcome.OK));
    check.response(response(Outcome.TRAP));
    check.status({ code: 8, message: 'full' });
    expect(check.summary).toEqual({ failures: 3, failure: 'The output is not the one expected' });
  });

  test('counts an answer without an execution', () => {
    const check = new AnswerCheck(undefined);
    check.response(Buffer.alloc(0));
    expect(check.summary).toEqual({ failures: 1, failure: 'The answer has no execution' });
  });

  test('takes a refusal on an ExecuteMany stream for a failure and still tells whose it is', () => {
    const check = new AnswerCheck(undefined);
    const refused = { requestId: '17', result: { case: 'refusal', value: { code: 8 } } } as const;
    const bytes = toBinary(ExecuteManyResponseSchema, create(ExecuteManyResponseSchema, refused));
    expect(check.manyResponse(Buffer.from(bytes))).toBe('17');
    expect(check.failures).toBe(1);
  });

  test('wants an outcome as the last event', () => {
    const event = (last: boolean) => {
      const value = last
        ? ({ case: 'outcome', value: { outcome: Outcome.OK } } as const)
        : ({ case: 'progress', value: { fraction: 0.5 } } as const);
      const message = create(ExecuteStreamResponseSchema, { event: { event: value } });
      return Buffer.from(toBinary(ExecuteStreamResponseSchema, message));
    };
    const check = new AnswerCheck(undefined);
    check.lastEvent(event(true));
    expect(check.failures).toBe(0);
    check.lastEvent(event(false));
    expect(check.failure).toBe('The last event is not the outcome');
  });
});

test.each([0, 1, 200, 70_000])('The echo made by hand is right for an input of %i bytes', (bytes) => {
  const input = Buffer.alloc(bytes, 'x');
  const request = create(ExecuteRequestSchema, { plugin: 'echo', function: 'echo', input, labels: { a: 'b' } });
  const check = new AnswerCheck(input.toString('base64'));
  check.response(echoResponse(Buffer.from(toBinary(ExecuteRequestSchema, request))));
  expect(check.summary).toEqual({ failures: 0 });
});
