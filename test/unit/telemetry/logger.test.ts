import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { createLog, type LogThreshold } from '../../../src/telemetry/logger.ts';

function setUp(level: LogThreshold = 'debug') {
  const lines: string[] = [];
  return { lines, log: createLog({ level, destination: { write: (line) => void lines.push(line) } }) };
}

describe('createLog', () => {
  test('writes one line of JSON with time, level, fields and message', () => {
    const { lines, log } = setUp();
    log.info({ plugin: 'echo@1.0.0' }, 'Plugin started\nnow');
    expect(lines).toHaveLength(1);
    expect(lines[0]?.trimEnd()).not.toContain('\n');
    expect(JSON.parse(lines[0] ?? '')).toEqual({
      level: 'info',
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
      plugin: 'echo@1.0.0',
      message: 'Plugin started\nnow',
    });
  });

  test('writes nothing below its level', () => {
    const { lines, log } = setUp('warn');
    log.debug({}, 'a');
    log.info({}, 'b');
    log.warn({}, 'c');
    log.error({}, 'd');
    expect(lines.map((line) => (JSON.parse(line) as { message: string }).message)).toEqual(['c', 'd']);
  });

  test('adds the fields of each child to its lines, masked where they are secret', () => {
    const { lines, log } = setUp();
    log.child({ server: 'a', secret: 'x' }).child({ call: 1 }).info({ password: 'x' }, 'hello');
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({
      server: 'a',
      secret: '[redacted]',
      call: 1,
      password: '[redacted]',
    });
  });

  test('takes the text as it is, placeholders and all', () => {
    const { lines, log } = setUp();
    log.info({}, 'at 100 %s, %o and %d');
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ message: 'at 100 %s, %o and %d' });
  });

  test('writes errors with their causes under any name', () => {
    const { lines, log } = setUp();
    log.error({ err: new Error('outer', { cause: new Error('inner') }) }, 'failed');
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ err: { message: 'outer', cause: { message: 'inner' } } });
  });

  test('writes to stderr, and loses no line at the end of the process', () => {
    const root = join(import.meta.dirname, '../../..');
    const script = `
      const { createLog } = await import('./src/telemetry/logger.ts');
      const log = createLog({ level: 'info' });
      for (let at = 0; at < 1000; at++) log.info({ at }, 'line');
      process.exit(0);
    `;
    const child = spawnSync(process.execPath, ['--input-type=module', '--eval', script], {
      cwd: root,
      encoding: 'utf8',
    });
    expect(child.stdout).toBe('');
    expect(child.stderr.trimEnd().split('\n')).toHaveLength(1_000);
  });
});
