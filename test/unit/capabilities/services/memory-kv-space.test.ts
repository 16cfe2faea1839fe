import { describe, expect, test } from 'vitest';
import { MemoryKvSpace } from '../../../../src/capabilities/services/memory-kv-space.ts';

const none = new Uint8Array();

describe('A namespace in memory', () => {
  test('forgets when values expired that are gone, once there are many', () => {
    const space = new MemoryKvSpace();
    space.set('key', none, 10);
    // 64, and 2 for the one value, may be remembered.
    for (let write = 0; write < 65; write++) space.set('key', none, 1_000);
    expect(space.nextExpiryMs).toBe(10);
    space.set('key', none, 1_000);
    expect(space.nextExpiryMs).toBe(1_000);
  });

  test('forgets them too when values are deleted', () => {
    const space = new MemoryKvSpace();
    for (let number = 0; number < 65; number++) space.set(`k${number}`, none, number + 1);
    for (let number = 0; number < 64; number++) space.delete(`k${number}`);
    expect(space.nextExpiryMs).toBe(1);
    space.delete('k64');
    expect(space.nextExpiryMs).toBeUndefined();
    expect(space.heldBytes).toBe(0);
  });

  test('lets no more expire at once than it is told', () => {
    const space = new MemoryKvSpace();
    for (let number = 0; number < 50; number++) space.set(`k${number}`, none, 5);
    expect(space.expire(4, 50)).toBe(0);
    expect(space.expire(5, 20)).toBe(20);
    expect(space.usage.keys).toBe(30);
    expect(space.expire(5, 50)).toBe(30);
    expect(space.list({ prefix: '', after: '', limit: 50 })).toEqual([]);
  });

  test('keeps its order whether one or many values expire', () => {
    for (const many of [1, 16, 17, 40]) {
      const space = new MemoryKvSpace();
      for (let number = 0; number < 100; number++) {
        space.set(`k${number % 10}${number}`, none, number < many ? 5 : undefined);
      }
      expect(space.expire(5, 100)).toBe(many);
      const keys = space.list({ prefix: '', after: '', limit: 100 });
      expect(keys).toHaveLength(100 - many);
      expect(keys).toEqual(keys.toSorted());
    }
  });
});
