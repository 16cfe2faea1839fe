import { describe, expect, test } from 'vitest';
import { logFunctions } from '../../../src/capabilities/log.ts';
import { fixedLimits } from '../../../src/model/limits.ts';
import { callHost, fakeCall } from './fakes.ts';

describe('log_*', () => {
  test('send lines with their levels, count their bytes and free their blocks', () => {
    const call = fakeCall();
    const functions = logFunctions(call);
    for (const level of ['trace', 'debug', 'info', 'warn', 'error']) {
      callHost(functions, `log_${level}`, call.block(`ä ${level}`));
    }
    expect(call.sent).toEqual([
      { type: 'log', level: 'trace', message: 'ä trace' },
      { type: 'log', level: 'debug', message: 'ä debug' },
      { type: 'log', level: 'info', message: 'ä info' },
      { type: 'log', level: 'warn', message: 'ä warn' },
      { type: 'log', level: 'error', message: 'ä error' },
    ]);
    expect(call.meters.logBytes).toBe(3 * 5 + 5 + 5 + 4 + 4 + 5);
    expect(call.meters.logLinesDropped).toBe(0);
    expect(call.held.size).toBe(0);
  });

  test('make text well-formed, and take an empty line for a line', () => {
    const call = fakeCall();
    const functions = logFunctions(call);
    callHost(functions, 'log_info', call.block(Uint8Array.of(0x61, 0xff, 0x62)));
    callHost(functions, 'log_info', 0n);
    expect(call.sent).toMatchObject([{ message: 'a\ufffdb' }, { message: '' }]);
  });

  test('cut a line that is longer than a line may be', () => {
    const call = fakeCall();
    const functions = logFunctions(call);
    callHost(functions, 'log_info', call.block('x'.repeat(fixedLimits.logLineBytes)));
    callHost(functions, 'log_info', call.block('x'.repeat(fixedLimits.logLineBytes + 1)));
    callHost(functions, 'log_info', call.block('ü'.repeat(fixedLimits.logLineBytes)));
    const messages = call.sent.map((event) => event.type === 'log' && event.message) as string[];
    expect(messages[0]).toBe('x'.repeat(fixedLimits.logLineBytes));
    expect(messages[1]).toBe(`${'x'.repeat(fixedLimits.logLineBytes - 3)}…`);
    expect(messages[2]).toMatch(/^ü+…$/);
    for (const message of messages) expect(Buffer.byteLength(message)).toBeLessThanOrEqual(fixedLimits.logLineBytes);
    expect(call.meters.logLinesDropped).toBe(0);
  });

  test('drop and count what does not fit the limit of bytes, to the byte', () => {
    const call = fakeCall({ limits: { logBytes: 10 } });
    const functions = logFunctions(call);
    for (const line of ['123456', '12345', '1234', '1']) callHost(functions, 'log_info', call.block(line));
    expect(call.sent).toMatchObject([{ message: '123456' }, { message: '1234' }]);
    expect(call.meters).toMatchObject({ logBytes: 10, logLinesDropped: 2 });
    expect(call.held.size).toBe(0);
  });

  test('drop and count lines beyond the number of lines', () => {
    const call = fakeCall({ limits: { logBytes: 1_000_000 } });
    const functions = logFunctions(call);
    for (let line = 0; line < fixedLimits.logLines + 3; line++) callHost(functions, 'log_info', call.block('x'));
    expect(call.sent).toHaveLength(fixedLimits.logLines);
    expect(call.meters.logLinesDropped).toBe(3);
    expect(call.held.size).toBe(0);
  });

  test('charge for the bytes of a line, up to those of the longest, and for none of a dropped one', () => {
    const call = fakeCall({ limits: { logBytes: 20_000 } });
    const functions = logFunctions(call);
    callHost(functions, 'log_info', call.block('ä line'));
    expect(call.chargedBytes).toBe(7);
    callHost(functions, 'log_info', call.block('x'.repeat(1_000_000)));
    expect(call.chargedBytes).toBe(7 + fixedLimits.logLineBytes);
    for (let line = 0; line < 2; line++) callHost(functions, 'log_info', 0n);
    call.meters.logBytes = 20_000;
    callHost(functions, 'log_info', call.block('late'));
    expect(call.chargedBytes).toBe(7 + fixedLimits.logLineBytes);
  });

  test('drop and count what is no block', () => {
    const call = fakeCall();
    callHost(logFunctions(call), 'log_info', 77_777n);
    expect(call.sent).toEqual([]);
    expect(call.meters.logLinesDropped).toBe(1);
  });
});

describe('get_log_level', () => {
  test('lets everything be logged', () => {
    expect(callHost(logFunctions(fakeCall()), 'get_log_level')).toBe(0);
  });
});
