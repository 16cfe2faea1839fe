import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import { type Execution, ExecutionSchema, LogLevel, Outcome, Stage } from '../../../src/gen/caisson/v1/execution_pb.ts';
import { ended, events, responses, runCli } from './harness.ts';

function execution(init: Exclude<MessageInitShape<typeof ExecutionSchema>, Execution>) {
  return create(ExecutionSchema, {
    id: 'e-1',
    plugin: 'echo@1.0.0',
    function: 'echo',
    createTime: { seconds: 1_700_000_000n },
    ...init,
  });
}

const done = execution({
  stage: Stage.COMPLETED,
  outcome: Outcome.TRAP,
  error: { kind: 'UNREACHABLE', message: 'boom\u001b' },
  usage: { wallDuration: { nanos: 2_500_000 } },
  labels: { who: 'me' },
  lastSequence: 4n,
});

describe('executions list', () => {
  test('shows the stage of what runs and the outcome of what has ended', async () => {
    const asked: object[] = [];
    const list = [
      execution({ stage: Stage.RUNNING }),
      done,
      execution({ stage: Stage.COMPLETED, error: { kind: 'INTERNAL', message: '' } }),
    ];
    const listExecutions = (request: object) => {
      asked.push(request);
      return Promise.resolve({ executions: list, nextPageToken: '' });
    };
    const run = await runCli(['executions', 'list', '--plugin', 'echo', '--stage', 'running'], {
      executions: { listExecutions },
    });
    expect(asked).toEqual([{ pageSize: 100, pageToken: '', plugin: 'echo', stage: Stage.RUNNING }]);
    expect(run.stdout.split('\n').map((line) => line.split(/ {2,}/).slice(0, 5))).toEqual([
      ['ID', 'STATUS', 'PLUGIN', 'FUNCTION', 'WALL'],
      ['e-1', 'RUNNING', 'echo@1.0.0', 'echo', '2023-11-14T22:13:20.000Z'],
      ['e-1', 'TRAP', 'echo@1.0.0', 'echo', '2.50 ms'],
      ['e-1', 'HOST FAILED', 'echo@1.0.0', 'echo', '2023-11-14T22:13:20.000Z'],
      [''],
    ]);
  });

  test('refuses a stage that there is not', async () => {
    const run = await runCli(['executions', 'list', '--stage', 'done']);
    expect(run).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('queued, running, completed') });
  });
});

describe('executions show and cancel', () => {
  test.each([
    ['show', 'getExecution'],
    ['cancel', 'cancelExecution'],
  ])('%s prints the execution', async (name, method) => {
    const run = await runCli(['executions', name, 'e-1'], {
      executions: { [method]: () => Promise.resolve({ execution: done }) },
    });
    expect(run.exitCode).toBe(0);
    expect(run.stdout).toContain('status:   TRAP\nfailure:  TRAP (UNREACHABLE): boom\\u001b\n');
    expect(run.stdout).toContain('labels:   who=me\n');
    expect(run.stdout).not.toContain('output:');
  });

  test('show prints JSON with the output as base64', async () => {
    const ok = execution({ stage: Stage.COMPLETED, outcome: Outcome.OK, output: Buffer.from('hi') });
    const run = await runCli(['executions', 'show', 'e-1', '--json'], {
      executions: { getExecution: () => Promise.resolve({ execution: ok }) },
    });
    expect(JSON.parse(run.stdout)).toMatchObject({ id: 'e-1', output: 'aGk=' });
  });
});

describe('executions attach', () => {
  const list = events(
    { case: 'stage', value: Stage.RUNNING },
    { case: 'progress', value: { fraction: 0.125, message: '7 rows\u0007', data: Buffer.from('abc') } },
    { case: 'progress', value: {} },
    { case: 'log', value: { level: LogLevel.INFO, message: 'hello' } },
    ended({ outcome: Outcome.TIMED_OUT, error: { kind: 'TIMEOUT', message: 'too long' } }),
  );

  test('prints a line for each event and ends with the outcome’s exit code', async () => {
    const asked: object[] = [];
    const attachExecution = (request: object) => {
      asked.push(request);
      return responses(list);
    };
    const run = await runCli(['executions', 'attach', 'e-1', '--after', '7'], { executions: { attachExecution } });
    expect(asked).toEqual([{ id: 'e-1', afterSequence: 7n }]);
    expect(run.exitCode).toBe(14);
    expect(run.stdout.replaceAll('2023-11-14T22:13:20.000Z', 'T').split('\n')).toEqual([
      '1 T stage RUNNING',
      '2 T progress 12.5% 7 rows\\u0007 (3 B of data)',
      '3 T progress unknown',
      '4 T log [info] hello',
      '5 T outcome TIMED_OUT (TIMEOUT): too long',
      '',
    ]);
  });

  test('prints a line of JSON for each event', async () => {
    const run = await runCli(['executions', 'attach', 'e-1', '--json'], {
      executions: { attachExecution: () => responses(list) },
    });
    const lines = run.stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as object);
    expect(lines).toHaveLength(5);
    expect(lines[1]).toMatchObject({ sequence: '2', progress: { fraction: 0.125, data: 'YWJj' } });
  });
});
