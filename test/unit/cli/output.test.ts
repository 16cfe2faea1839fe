import { PassThrough } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { factsText, Output, shown, tableText } from '../../../src/cli/output.ts';

describe('shown', () => {
  test('leaves nothing that commands a terminal', () => {
    expect(shown('a\u001b]0;title\u0007\r\n\u009b2Jz')).toBe('a\\u001b]0;title\\u0007\\u000d\\u000a\\u009b2Jz');
  });

  test('is bounded', () => {
    expect(shown('x'.repeat(100_000)).length).toBeLessThan(9_000);
  });
});

describe('tableText', () => {
  test('aligns columns and leaves no blanks at the ends of lines', () => {
    expect(
      tableText(
        ['A', 'LONG'],
        [
          ['wide cell', ''],
          ['b', 'c\n'],
        ],
      ),
    ).toBe('A          LONG\nwide cell\nb          c\\u000a\n');
  });
});

describe('factsText', () => {
  test('leaves out what is not known', () => {
    expect(
      factsText([
        ['name', 'x'],
        ['gone', undefined],
        ['empty', ''],
        ['longer', 'y\t'],
      ]),
    ).toBe('name:   x\nlonger: y\\u0009\n');
  });
});

describe('Output', () => {
  test('says that nobody reads, and writes no more', async () => {
    const stdout = new PassThrough();
    const heard: string[] = [];
    stdout.on('data', (chunk: Buffer) => heard.push(chunk.toString()));
    const output = new Output(stdout, new PassThrough());
    output.print('before');
    await output.bytes(Buffer.from('too'));
    stdout.destroy(new Error('write EPIPE'));
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(output.closed.aborted).toBe(true);
    output.print('after');
    await output.bytes(Buffer.from('after'));
    expect(heard.join('')).toBe('beforetoo');
  });

  test.each([
    [true, 'text', 'text\n'],
    [true, 'line\n', 'line\n'],
    [true, '', ''],
    [false, 'text', 'text'],
  ])('on a terminal (%s) ends %j as %j', async (isTTY, result, expected) => {
    const stdout = Object.assign(new PassThrough(), { isTTY });
    const heard: string[] = [];
    stdout.on('data', (chunk: Buffer) => heard.push(chunk.toString()));
    await new Output(stdout, new PassThrough()).result(Buffer.from(result));
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(heard.join('')).toBe(expected);
  });

  test('does not fail where stderr is gone', async () => {
    const stderr = new PassThrough();
    const output = new Output(new PassThrough(), stderr);
    stderr.destroy(new Error('write EPIPE'));
    await new Promise((resolve) => setTimeout(resolve, 5));
    output.note('unheard');
    expect(output.closed.aborted).toBe(false);
  });
});
