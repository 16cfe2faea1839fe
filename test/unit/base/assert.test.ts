import { expect, test } from 'vitest';
import { assert } from '../../../src/base/assert.ts';

test('assert throws with its text unless the condition holds', () => {
  expect(() => assert('something', 'there is one')).not.toThrow();
  expect(() => assert(undefined, 'there is one')).toThrow('Assertion failed: there is one');
});
