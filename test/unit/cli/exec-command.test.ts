import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterAll, describe, expect, test } from 'vitest';
import { CallError } from '../../../src/client/call-error.ts';
import {
  type ExecuteStreamRequest,
  InstanceSource,
  LogLevel,
  Outcome,
  Stage,
} from '../../../src/gen/caisson/v1/execution_pb.ts';
import { capabilityNames } from '../../../src/model/capability.ts';
import { ended, events, responses, runCli } from './harness.ts';

const folder = mkdtempSync(join(tmpdir(), 'caisson-cli-'));
afterAll(() => rmSync(folder, { recursive: true }));

const okEvents = events(
  { case: 'stage', value: Stage.QUEUED },
  { case: 'stage', value: Stage.RUNNING },
  ended({ stage: Stage.COMPLETED, outcome: Outcome.OK, output: Buffer.from([0, 255, 10]), usage: { outputBytes: 3n } }),
);

/** A server that answers ExecuteStream with these events, and what it was asked. */
function server(list: ReturnType<typeof events>) {
  const requests: ExecuteStreamRequest[] = [];
  const executeStream = (request: ExecuteStreamRequest) => {
    requests.push(request);
    return responses(list);
  };
  return { requests, executions: { executeStream } };
}

function failed(outcome: Outcome, kind = 'KIND', message = 'what happened') {
  return events(ended({ stage: Stage.COMPLETED, outcome, error: { kind, message } }));
}

describe('exec', () => {
  test('sends what the options say', async () => {
    const { requests, executions } = server(okEvents);
    const words =
      'exec echo@1.0.0 reverse -c a=1 -c b=x=y -t 1.5s --fuel 5000000000 -m 2MiB --output-limit 1KiB -l who=me --request-id r1 --host-calls 9 --seed 0x01fF --session s1';
    const run = await runCli([...words.split(' '), '--address', 'unix:/x.sock'], { executions, stdin: 'piped' });
    expect(run.addresses).toEqual(['unix:/x.sock']);
    expect(requests).toEqual([
      {
        plugin: 'echo@1.0.0',
        function: 'reverse',
        input: Buffer.from('piped'),
        config: { a: '1', b: 'x=y' },
        limits: {
          timeout: { seconds: 1n, nanos: 500_000_000 },
          fuel: 5_000_000_000n,
          memoryBytes: 2_097_152n,
          outputBytes: 1_024n,
          hostCalls: 9n,
        },
        requestId: 'r1',
        labels: { who: 'me' },
        randomSeed: new Uint8Array([1, 255]),
        sessionId: 's1',
        detached: false,
      },
    ]);
  });

  test('writes the output as it is, and nothing else', async () => {
    const run = await runCli(['exec', 'echo', 'echo'], server(okEvents));
    expect([...run.stdoutBytes]).toEqual([0, 255, 10]);
    expect(run).toMatchObject({ exitCode: 0, stderr: '' });
  });

  test('writes the output to a file', async () => {
    const path = join(folder, 'out.bin');
    const run = await runCli(['exec', 'echo', 'echo', '--output', path], server(okEvents));
    expect([...readFileSync(path)]).toEqual([0, 255, 10]);
    expect(run.stdout).toBe('');
  });

  test('fails where the file cannot be written', async () => {
    const run = await runCli(['exec', 'echo', 'echo', '--output', join(folder, 'no/such/file')], server(okEvents));
    expect(run).toMatchObject({
      exitCode: 1,
      stderr: expect.stringMatching(/^caisson: Cannot write output to .*it does not exist\n$/),
    });
  });

  test('prints JSON with the output as base64', async () => {
    const run = await runCli(['exec', 'echo', 'echo', '--json'], server(okEvents));
    expect(JSON.parse(run.stdout)).toMatchObject({
      id: 'e-1',
      outcome: 'OUTCOME_OK',
      output: 'AP8K',
      stage: 'STAGE_COMPLETED',
    });
  });

  test('leaves the output out of the JSON where it goes to a file', async () => {
    const run = await runCli(['exec', 'echo', 'echo', '--json', '-o', join(folder, 'o')], server(okEvents));
    expect(JSON.parse(run.stdout)).not.toHaveProperty('output');
  });

  test('reads input from a file', async () => {
    const path = join(folder, 'input.txt');
    writeFileSync(path, 'from a file');
    const { requests, executions } = server(okEvents);
    await runCli(['exec', 'echo', 'echo', '--input', path], { executions, stdin: 'not this' });
    expect(Buffer.from(requests[0]?.input ?? []).toString()).toBe('from a file');
  });

  test.each([
    ['stdin when it is piped', [], 'piped', 'piped'],
    ['stdin when it is asked for', ['--input', '-'], 'piped', 'piped'],
    ['nothing when told so', ['--no-input'], 'piped', ''],
    ['nothing when stdin is a terminal', [], undefined, ''],
  ])('takes %s', async (_, words, stdin, expected) => {
    const { requests, executions } = server(okEvents);
    await runCli(['exec', 'echo', 'echo', ...words], { executions, ...(stdin !== undefined && { stdin }) });
    expect(Buffer.from(requests[0]?.input ?? []).toString()).toBe(expected);
  });

  test('refuses input that no plugin can take', async () => {
    const stdin = 'x'.repeat(16 * 1_048_576 + 1);
    const run = await runCli(['exec', 'echo', 'echo'], { ...server(okEvents), stdin });
    expect(run).toMatchObject({
      exitCode: 2,
      stderr: 'caisson: Input from stdin has more than 16.0 MiB: no plugin takes that much\n',
    });
  });

  test('refuses an input file that is not there', async () => {
    const run = await runCli(['exec', 'echo', 'echo', '-i', join(folder, 'missing')], server(okEvents));
    expect(run).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('it does not exist') });
  });

  test.each([
    [Outcome.PLUGIN_ERROR, 10, 'PLUGIN_ERROR'],
    [Outcome.TRAP, 11, 'TRAP'],
    [Outcome.FUEL_EXHAUSTED, 12, 'FUEL_EXHAUSTED'],
    [Outcome.MEMORY_EXHAUSTED, 13, 'MEMORY_EXHAUSTED'],
    [Outcome.TIMED_OUT, 14, 'TIMED_OUT'],
    [Outcome.CANCELED, 15, 'CANCELED'],
    [Outcome.OUTPUT_TOO_LARGE, 16, 'OUTPUT_TOO_LARGE'],
    [Outcome.DENIED, 17, 'DENIED'],
  ])('outcome %s is exit code %s', async (outcome, exitCode, name) => {
    const run = await runCli(['exec', 'echo', 'echo'], server(failed(outcome)));
    expect(run).toMatchObject({ exitCode, stdout: '', stderr: `caisson: ${name} (KIND): what happened\n` });
  });

  test('a failure of the host is exit code 1', async () => {
    const run = await runCli(['exec', 'echo', 'echo'], server(failed(Outcome.UNSPECIFIED, 'SANDBOX_CRASHED')));
    expect(run).toMatchObject({ exitCode: 1, stderr: 'caisson: HOST FAILED (SANDBOX_CRASHED): what happened\n' });
  });

  test('an outcome of a newer server is exit code 1', async () => {
    const run = await runCli(['exec', 'echo', 'echo'], server(failed(99 as Outcome)));
    expect(run).toMatchObject({ exitCode: 1, stderr: 'caisson: outcome 99 (KIND): what happened\n' });
  });

  test('shows warnings and errors of the guest, without control characters', async () => {
    const list = events(
      { case: 'log', value: { level: LogLevel.INFO, message: 'quiet' } },
      { case: 'log', value: { level: LogLevel.WARN, message: 'mind\u001b[2J\nthis' } },
      ended({ outcome: Outcome.PLUGIN_ERROR, error: { kind: 'GUEST_ERROR', message: 'bad\u0007\r\n' } }),
    );
    const run = await runCli(['exec', 'echo', 'echo'], server(list));
    expect(run.stderr).toBe(
      '[warn] mind\\u001b[2J\\u000athis\ncaisson: PLUGIN_ERROR (GUEST_ERROR): bad\\u0007\\u000d\\u000a\n',
    );
  });

  test('shows every line, the stack and the receipt when it is verbose', async () => {
    const guestStack = [
      { function: 'inner', functionIndex: 3, offset: 31n },
      { functionIndex: 1, offset: 16n },
    ];
    const list = events(
      { case: 'log', value: { level: LogLevel.DEBUG, message: 'detail' } },
      ended({
        outcome: Outcome.TRAP,
        error: { kind: 'UNREACHABLE', message: 'unreachable', guestStack },
        usage: {
          wallDuration: { seconds: 1n, nanos: 250_000_000 },
          memoryPeakBytes: 1_572_864n,
          hostCalls: 2n,
          logLinesDropped: 4n,
        },
      }),
    );
    const run = await runCli(['exec', 'echo', 'echo', '-v'], server(list));
    expect(run.stderr.split('\n')).toEqual([
      '[debug] detail',
      'caisson: TRAP (UNREACHABLE): unreachable',
      '    at inner (module+0x1f)',
      '    at function 1 (module+0x10)',
      'caisson: TRAP echo@1.0.0 e-1: wall 1.25 s, queue 0 ms, run 0 ms, fuel 0, memory 1.5 MiB, in 0 B, out 0 B, 2 host calls, 0 progress events, 4 log lines dropped',
      '',
    ]);
  });

  test('shows in the receipt what was called, what the guest counted, and where the instance came from', async () => {
    const usage = {
      hostCalls: 6n,
      hostCallsByCapability: { log: 1n, kv: 5n },
      counters: { 'tokens\u0007': 12_345n, debt: -2n },
      instanceSource: InstanceSource.REUSED,
    };
    const list = events(ended({ outcome: Outcome.OK, usage }));
    const run = await runCli(['exec', 'echo', 'echo', '-v'], server(list));
    expect(run.stderr).toMatch(
      /, 6 host calls \(kv 5, log 1\), 0 progress events, instance reused, tokens\\u0007 12,345, debt -2\n$/,
    );
    const json = await runCli(['exec', 'echo', 'echo', '--json'], server(list));
    expect(JSON.parse(json.stdout)).toMatchObject({
      usage: { hostCallsByCapability: { kv: '5' }, counters: { debt: '-2' }, instanceSource: 'INSTANCE_SOURCE_REUSED' },
    });
  });

  test('takes a seed as text that is no hex', async () => {
    const { requests, executions } = server(okEvents);
    await runCli(['exec', 'echo', 'echo', '--seed', 'salt'], { executions });
    expect(Buffer.from(requests[0]?.randomSeed ?? []).toString()).toBe('salt');
  });

  test('draws a progress bar on a terminal only, and takes it away', async () => {
    const list = events(
      { case: 'progress', value: { fraction: 0.42, message: 'rows\u001b[31m' } },
      { case: 'log', value: { level: LogLevel.WARN, message: 'above the bar' } },
      { case: 'progress', value: { message: 'unknown' } },
      ended({ outcome: Outcome.OK }),
    );
    const onTerminal = await runCli(['exec', 'echo', 'echo'], { ...server(list), isTerminal: true });
    expect(onTerminal.stderr).toContain(' 42% rows\\u001b[31m');
    expect(onTerminal.stderr).toContain('[warn] above the bar\n');
    expect(onTerminal.stderr.endsWith('\u001b[2K')).toBe(true);
    const piped = await runCli(['exec', 'echo', 'echo'], server(list));
    expect(piped.stderr).toBe('[warn] above the bar\n');
  });

  test('cancels at the first interrupt and reports the outcome', async () => {
    const canceled: string[] = [];
    const started = Promise.withResolvers<() => void>();
    const stopped = Promise.withResolvers<void>();
    const executions = {
      executeStream: async function* () {
        const [first, last] = events(
          { case: 'stage', value: Stage.QUEUED },
          ended({ outcome: Outcome.CANCELED, error: { kind: 'CANCELED', message: 'gone' } }),
        );
        yield { event: first };
        (await started.promise)();
        await stopped.promise;
        yield { event: last };
      },
      cancelExecution: ({ id }: { id: string }) => {
        canceled.push(id);
        stopped.resolve();
        return Promise.resolve({});
      },
    };
    const run = await runCli(['exec', 'echo', 'echo'], { executions, onListening: started.resolve });
    expect(canceled).toEqual(['e-1']);
    expect(run).toMatchObject({
      exitCode: 15,
      stderr: expect.stringContaining('caisson: CANCELED (CANCELED): gone\n'),
    });
  });

  test('leaves at the second interrupt', async () => {
    const executions = {
      executeStream: async function* (_: unknown, { signal }: { signal: AbortSignal }) {
        yield { event: events({ case: 'stage', value: Stage.QUEUED })[0] };
        await new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('aborted'))));
      },
      cancelExecution: () => new Promise(() => {}),
    };
    const onListening = (interrupt: () => void): void => {
      setTimeout(interrupt, 10);
      setTimeout(interrupt, 20);
    };
    expect(await runCli(['exec', 'echo', 'echo'], { executions, onListening })).toMatchObject({
      exitCode: 130,
      stdout: '',
    });
  });

  test('detached, prints the id and leaves', async () => {
    const { requests, executions } = server(okEvents);
    const run = await runCli(['exec', 'echo', 'echo', '--detach'], { executions });
    expect(run).toMatchObject({ exitCode: 0, stdout: 'e-1\n' });
    expect(requests[0]?.detached).toBe(true);
  });

  test('says on one line what the server refused, and why', async () => {
    const executions = { executeStream: () => failing(refusal('RESOURCE_EXHAUSTED')) };
    const run = await runCli(['exec', 'echo', 'echo'], { executions });
    expect(run).toMatchObject({
      exitCode: 24,
      stdout: '',
      stderr: 'caisson: QUEUE_FULL: too many; limits.timeout: is negative; try again in 1.5 s\n',
    });
  });

  test('says it as JSON on stderr', async () => {
    const executions = { executeStream: () => failing(refusal('RESOURCE_EXHAUSTED')) };
    const run = await runCli(['exec', 'echo', 'echo', '--json'], { executions });
    expect(run.stdout).toBe('');
    expect(JSON.parse(run.stderr)).toEqual({
      error: {
        code: 'RESOURCE_EXHAUSTED',
        reason: 'QUEUE_FULL',
        message: 'too many',
        violations: [{ field: 'limits.timeout', description: 'is negative' }],
        retryDelayMs: 1_500,
      },
    });
  });

  test('fails if the events end without an outcome', async () => {
    const run = await runCli(['exec', 'echo', 'echo'], server(events({ case: 'stage', value: Stage.QUEUED })));
    expect(run).toMatchObject({ exitCode: 1, stderr: 'caisson: The events ended without an outcome\n' });
  });

  test('is no failure of ours if nobody reads the output', async () => {
    const stdout = new PassThrough();
    const executions = {
      executeStream: async function* () {
        stdout.destroy(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }));
        await new Promise((resolve) => setTimeout(resolve, 5));
        yield* responses(okEvents);
      },
    };
    expect(await runCli(['exec', 'echo', 'echo'], { executions, stdout })).toMatchObject({ exitCode: 141, stderr: '' });
  });
});

describe('run', () => {
  async function* okRun() {
    for (const event of okEvents) yield await Promise.resolve(event);
  }

  function moduleFile(name: string, manifest?: object): string {
    const path = join(folder, `${name}.wasm`);
    writeFileSync(path, Buffer.from([0, 97, 115, 109]));
    if (manifest) writeFileSync(join(folder, `${name}.json`), JSON.stringify(manifest));
    return path;
  }

  test('runs the module with the manifest beside it', async () => {
    const path = moduleFile('known', { name: 'known', version: '1.2.3' });
    const run = await runCli(['run', path, 'go', '-c', 'a=b', '--fuel', '7', '--allow-wasm-feature', 'threads'], {
      runFile: okRun,
      stdin: 'in',
    });
    expect(run.exitCode).toBe(0);
    expect([...run.stdoutBytes]).toEqual([0, 255, 10]);
    expect(run.ran).toEqual([
      {
        module: Buffer.from([0, 97, 115, 109]),
        manifestText: '{"name":"known","version":"1.2.3"}',
        action: {
          plugin: 'known',
          function: 'go',
          input: Buffer.from('in'),
          config: new Map([['a', 'b']]),
          limits: { fuel: 7 },
          requestId: '',
          labels: new Map(),
          randomSeed: new Uint8Array(),
          sessionId: '',
          tenant: 'default',
        },
        allowedFeatures: ['threads'],
      },
    ]);
    expect(run.addresses).toEqual([]);
  });

  test('lets a module without a manifest ask for all that needs no names', async () => {
    const run = await runCli(['run', moduleFile('My Module_2'), 'go'], { runFile: okRun });
    expect(JSON.parse(run.ran[0]?.manifestText ?? '')).toEqual({
      name: 'my-module-2',
      version: '0.0.0',
      capabilities: capabilityNames.filter((name) => !['http', 'secrets'].includes(name)),
    });
  });

  test('takes a manifest that is named', async () => {
    const manifest = join(folder, 'named.json');
    writeFileSync(manifest, '{"name":"named"}');
    const run = await runCli(['run', moduleFile('other'), 'go', '--manifest', manifest], { runFile: okRun });
    expect(run.ran[0]).toMatchObject({ manifestText: '{"name":"named"}', action: { plugin: 'named' } });
  });

  test('stops the guest at an interrupt', async () => {
    const runFile = async function* (_: unknown, signal: AbortSignal) {
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
      yield* events(ended({ outcome: Outcome.CANCELED, error: { kind: 'CANCELED', message: 'stopped' } }));
    };
    const onListening = (interrupt: () => void): void => void setTimeout(interrupt, 5);
    expect(await runCli(['run', moduleFile('endless'), 'go'], { runFile, onListening })).toMatchObject({
      exitCode: 15,
    });
  });

  test.each([
    [
      'a module that is not there',
      ['run', '/no/such.wasm', 'go'],
      'Cannot read module "/no/such.wasm": it does not exist',
    ],
    [
      'an unknown feature',
      ['run', 'x.wasm', 'go', '--allow-wasm-feature', 'gc'],
      'Allowed choices are memory64, threads',
    ],
    ['no fuel', ['run', 'x.wasm', 'go', '--fuel', '0'], 'Expected a whole number of at least 1.'],
    ['fuel that is no number', ['exec', 'x', 'go', '--fuel', 'lots'], 'Expected a whole number of at least 1.'],
  ])('refuses %s', async (_, words, message) => {
    const run = await runCli(words);
    expect(run).toMatchObject({ exitCode: 2, stderr: expect.stringContaining(message) });
  });
});

function refusal(codeName: string): CallError {
  return Object.assign(Object.create(CallError.prototype) as CallError, {
    message: 'too many',
    codeName,
    reason: 'QUEUE_FULL',
    violations: [{ field: 'limits.timeout', description: 'is negative' }],
    retryDelayMs: 1_500,
  });
}

// oxlint-disable-next-line require-yield
async function* failing(refused: Error): AsyncGenerator<never> {
  await Promise.resolve();
  throw refused;
}
