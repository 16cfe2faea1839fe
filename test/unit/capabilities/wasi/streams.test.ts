import { describe, expect, test } from 'vitest';
import { logFunctions } from '../../../../src/capabilities/log.ts';
import { logWriteBytesMax } from '../../../../src/capabilities/wasi/streams.ts';
import { fixedLimits } from '../../../../src/model/limits.ts';
import { callHost } from '../fakes.ts';
import { MemoryGuest } from './guest.ts';

const lines = (guest: MemoryGuest): readonly string[] =>
  guest.call.sent.map((event) => (event.type === 'log' ? `${event.level} ${event.message}` : event.type));

describe('The input', () => {
  test('is read from the first byte to the last, by functions of plugins too', () => {
    const guest = new MemoryGuest({ input: Buffer.from('hello') });
    expect([guest.read(0, 2), guest.read(0, 10), guest.read(0, 10)]).toEqual(['he', 'llo', '']);
    expect(guest.call.chargedBytes).toBeGreaterThanOrEqual(5);
  });

  test('is not written, and the outputs are not read', () => {
    const guest = new MemoryGuest();
    expect(guest.failing(() => guest.write(0, 'x'))).toBe(8);
    expect([1, 2].map((fd) => guest.failing(() => guest.read(fd, 1)))).toEqual([8, 8]);
  });
});

describe('The output of a command', () => {
  test('is what it writes', () => {
    const guest = new MemoryGuest({ functionName: '_start' });
    guest.write(1, 'hello ');
    guest.u32('fd_write', 1, ...guest.vectors(guest.text('wor'), guest.text('ld')));
    expect(Buffer.from(guest.family.output?.() ?? []).toString()).toBe('hello world');
    guest.family.flush?.();
    expect(guest.call.sent).toEqual([]);
  });

  test('is none if it writes nothing', () => {
    const guest = new MemoryGuest({ functionName: '_start' });
    guest.write(1, '');
    expect(guest.family.output?.()).toBeUndefined();
  });

  test('may be as long as the limit, and stops the guest beyond', () => {
    const guest = new MemoryGuest({ functionName: '_start', limits: { outputBytes: 10 } });
    guest.write(1, '12345678');
    guest.write(1, '90');
    expect(guest.call.stops).toEqual([]);
    expect(guest.failing(() => guest.write(1, '1'))).toBe(22);
    expect(guest.call.stops).toEqual([
      { kind: 'OUTPUT_TOO_LARGE', message: 'The output has at least 11 bytes, limits.output_bytes is 10' },
    ]);
    expect(guest.family.output?.()).toHaveLength(10);
  });

  test('grows by single bytes without a copy each time', () => {
    const guest = new MemoryGuest({ functionName: '_start' });
    for (let i = 0; i < 20_000; i++) guest.write(1, 'x');
    expect(guest.family.output?.()).toHaveLength(20_000);
    // A byte and the piece that describes it, and the growing.
    expect(guest.call.chargedBytes).toBeLessThan(20_000 * (1 + 8) + 3 * 32_768);
  });
});

describe('Lines', () => {
  test('of a plugin’s output go to the log at level info, of errors at level warn', () => {
    const guest = new MemoryGuest();
    guest.write(1, 'one\ntwo\n\nthr');
    guest.write(2, 'bad');
    guest.write(1, 'ee\n');
    guest.write(2, 'ly\n');
    expect(lines(guest)).toEqual(['info one', 'info two', 'info ', 'info three', 'warn badly']);
    expect(guest.family.output?.()).toBeUndefined();
  });

  test('of a command’s errors go to the log', () => {
    const guest = new MemoryGuest({ functionName: '_start' });
    guest.write(2, 'oops\n');
    expect(lines(guest)).toEqual(['warn oops']);
  });

  test('that were not ended are sent when the guest has ended, once', () => {
    const guest = new MemoryGuest();
    guest.write(1, 'half');
    guest.write(2, 'and half');
    expect(lines(guest)).toEqual([]);
    guest.family.flush?.();
    guest.family.flush?.();
    expect(lines(guest)).toEqual(['info half', 'warn and half']);
  });

  test('may be as long as a line of log, whether written at once or bit by bit, and are cut beyond', () => {
    const { logLineBytes } = fixedLimits;
    const whole = 'x'.repeat(logLineBytes);
    const cut = `${'x'.repeat(logLineBytes - 3)}…`;
    const guest = new MemoryGuest();
    guest.write(1, `${whole}\n${whole}x\n`);
    for (let at = 0; at < logLineBytes; at += 1_024) guest.write(2, 'x'.repeat(1_024));
    guest.write(2, '\n');
    for (let at = 0; at < 3 * logLineBytes; at += 1_024) guest.write(2, 'x'.repeat(1_024));
    guest.write(2, '\nnext\n');
    expect(lines(guest)).toEqual([`info ${whole}`, `info ${cut}`, `warn ${whole}`, `warn ${cut}`, 'warn next']);
  });

  test('share the number of lines and bytes with the capability log', () => {
    const guest = new MemoryGuest({ limits: { logBytes: 1_000_000 } });
    const log = logFunctions(guest.call);
    for (let i = 0; i < fixedLimits.logLines / 2; i++) {
      callHost(log, 'log_info', guest.call.block('x'));
      guest.write(2, 'y\n');
    }
    expect(guest.call.meters.logLinesDropped).toBe(0);
    guest.write(2, 'y\n\ny\n');
    callHost(log, 'log_info', guest.call.block('x'));
    expect(guest.call.sent).toHaveLength(fixedLimits.logLines);
    expect(guest.call.meters).toMatchObject({ logBytes: fixedLimits.logLines, logLinesDropped: 4 });
  });

  test('share the bytes of log with each other', () => {
    const guest = new MemoryGuest({ limits: { logBytes: 10 } });
    guest.write(1, '123456\n');
    guest.write(2, '12345\n1234\n1\n');
    expect(lines(guest)).toEqual(['info 123456', 'warn 1234']);
    expect(guest.call.meters).toMatchObject({ logBytes: 10, logLinesDropped: 2 });
  });

  test('are taken from one write up to a bound, and not one byte more', () => {
    const guest = new MemoryGuest();
    guest.call.memory = new Uint8Array(1_000_000).fill(10, 200_000);
    const data = new DataView(guest.call.memory.buffer);
    const write = (length: number): number => {
      data.setUint32(0, 200_000, true);
      data.setUint32(4, length, true);
      guest.do('fd_write', 2, 0, 1, 16);
      return data.getUint32(16, true);
    };
    expect(write(logWriteBytesMax)).toBe(logWriteBytesMax);
    expect(write(logWriteBytesMax + 1)).toBe(logWriteBytesMax);
    expect(guest.call.meters.logLinesDropped).toBe(2 * logWriteBytesMax - fixedLimits.logLines);
    for (let at = 0; at < 1_024; at++) {
      data.setUint32(at * 8, 200_000, true);
      data.setUint32(at * 8 + 4, logWriteBytesMax - 1, true);
    }
    guest.do('fd_write', 2, 0, 1_024, 16_384);
    expect(data.getUint32(16_384, true)).toBe(logWriteBytesMax);
  });

  test('are charged for beyond their bytes', () => {
    const guest = new MemoryGuest();
    guest.write(2, '\n');
    expect(guest.call.chargedBytes).toBeGreaterThan(1_000);
  });
});
