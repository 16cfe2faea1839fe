import { describe, expect, test } from 'vitest';
import { isLoopbackHost } from '../../../src/base/loopback.ts';

describe('isLoopbackHost', () => {
  test.each([
    ['127.0.0.1', true],
    ['127.9.9.9', true],
    ['::1', true],
    ['localhost', true],
    ['0.0.0.0', false],
    ['::', false],
    ['192.168.1.1', false],
    ['127.0.0.1.example.com', false],
    ['example.com', false],
  ])('%s counts as loopback: %s', (host, expected) => {
    expect(isLoopbackHost(host)).toBe(expected);
  });
});
