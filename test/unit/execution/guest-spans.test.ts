import { expect, test } from 'vitest';
import { GuestSpans } from '../../../src/execution/guest-spans.ts';
import type { GuestSpan } from '../../../src/model/execution.ts';
import { fixedLimits } from '../../../src/model/limits.ts';
import { FakeSpan } from './fakes.ts';

function span(index: number, parent?: number): GuestSpan {
  const fields = { name: `span ${index}`, startMs: index, endMs: index + 10, index, attributes: { at: `${index}` } };
  return parent === undefined ? fields : { ...fields, parent };
}

function made(...spans: readonly GuestSpan[]): FakeSpan {
  const root = new FakeSpan('run');
  using told = new GuestSpans(root);
  for (const one of spans) told.add(one);
  expect(root.children).toEqual([]);
  return root;
}

test('Spans of a guest hang under the one that they were opened in, whatever the order of their ends', () => {
  const root = made(span(2, 1), span(1, 0), span(0), span(3, 0), span(4));
  expect(root.children.map(({ name, endMs }) => [name, endMs])).toEqual([
    ['span 0', 10],
    ['span 4', 14],
  ]);
  expect(root.children[0]?.children.map(({ name }) => name)).toEqual(['span 1', 'span 3']);
  expect(root.children[0]?.children[0]?.children.map(({ name }) => name)).toEqual(['span 2']);
});

test('A span whose outer one never ended is the run’s own', () => {
  expect(made(span(1, 0)).children.map(({ name }) => name)).toEqual(['span 1']);
});

test('As many spans are kept as a guest may start', () => {
  const root = made(...Array.from({ length: fixedLimits.spans + 1 }, (_, index) => span(index)));
  expect(root.children.length).toBe(fixedLimits.spans);
});
