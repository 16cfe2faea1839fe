import { expect, test } from 'vitest';
import { RunsUnderWay } from '../../../src/plugins/runs-under-way.ts';

test('RunsUnderWay calls what waits for a plugin when its last run ends, once', () => {
  const runs = new RunsUnderWay();
  const called: string[] = [];
  runs.atEnd('a', () => called.push('none was under way'));
  for (const plugin of ['a', 'a', 'b']) runs.begin(plugin);
  runs.atEnd('a', () => called.push('replaced'));
  runs.atEnd('a', () => called.push('a'));
  runs.end('b');
  runs.end('a');
  expect(called).toEqual([]);
  runs.end('a');
  expect(called).toEqual(['a']);
  runs.begin('a');
  runs.end('a');
  expect(called).toEqual(['a']);
});
