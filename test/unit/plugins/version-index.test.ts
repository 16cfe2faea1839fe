import fc from 'fast-check';
import { compareBuild } from 'semver';
import { describe, expect, test } from 'vitest';
import type { Digest } from '../../../src/base/digest.ts';
import { type Entry, VersionIndex } from '../../../src/plugins/version-index.ts';
import { checkedManifest } from './fixtures.ts';

const digest: Digest = `sha256:${'0'.repeat(64)}`;

function entry(name: string, version: string, accepting = true): Entry {
  const manifest = checkedManifest({ name, version });
  const facts = {
    manifestText: '',
    digest,
    sizeBytes: 1,
    functions: [],
    otherFunctions: [],
    failure: '',
    createdMs: 0,
    updatedMs: 0,
  };
  return {
    version: { ...facts, manifest, state: 'running' },
    accepting,
    stored: 'running',
    validated: true,
    loading: undefined,
  };
}

function indexOf(...entries: readonly Entry[]): VersionIndex {
  const index = new VersionIndex();
  for (const one of entries) index.add(one);
  return index;
}

function referencesIn(entries: Iterable<Entry>): readonly string[] {
  return [...entries].map(({ version }) => `${version.manifest.name}@${version.manifest.version}`);
}

describe('VersionIndex', () => {
  test('orders by name and then newest first', () => {
    const versions = ['1.2.0', '1.10.0', '1.10.0-rc.2', '1.10.0-rc.10', '1.10.0+a', '1.10.0+b', '0.9.9'];
    const index = indexOf(...versions.map((version) => entry('b', version)), entry('a', '1.0.0'), entry('c', '1.0.0'));
    expect(referencesIn(index.inOrder())).toEqual([
      'a@1.0.0',
      'b@1.10.0+b',
      'b@1.10.0+a',
      'b@1.10.0',
      'b@1.10.0-rc.10',
      'b@1.10.0-rc.2',
      'b@1.2.0',
      'b@0.9.9',
      'c@1.0.0',
    ]);
    expect(referencesIn(index.inOrder({ name: 'b', after: { name: 'b', version: '1.10.0-rc.11' } }))).toEqual([
      'b@1.10.0-rc.10',
      'b@1.10.0-rc.2',
      'b@1.2.0',
      'b@0.9.9',
    ]);
    expect(index.names).toEqual(['a', 'b', 'c']);
  });

  test.each([
    [
      [
        ['1.0.0', true],
        ['2.0.0', true],
      ],
      '2.0.0',
    ],
    [
      [
        ['1.0.0', true],
        ['2.0.0', false],
      ],
      '1.0.0',
    ],
    [
      [
        ['1.0.0', true],
        ['2.0.0-rc.1', true],
      ],
      '1.0.0',
    ],
    [
      [
        ['1.0.0', false],
        ['2.0.0-rc.1', true],
      ],
      '2.0.0-rc.1',
    ],
    [
      [
        ['1.0.0', false],
        ['2.0.0', false],
        ['3.0.0-rc.1', false],
      ],
      '2.0.0',
    ],
    [
      [
        ['3.0.0-rc.1', false],
        ['3.0.0-rc.2', false],
      ],
      '3.0.0-rc.2',
    ],
  ] as const)('takes a name among %j for %s', (versions, expected) => {
    const index = indexOf(...versions.map(([version, accepting]) => entry('a', version, accepting)));
    expect(index.latest('a')?.version.manifest.version).toBe(expected);
  });

  test('finds and forgets by name, version and digest', () => {
    const [a, b] = [entry('a', '1.0.0'), entry('b', '1.0.0')];
    const index = indexOf(a, b);
    expect([index.find('a', '1.0.0'), index.ofDigest(digest), index.size]).toEqual([a, [a, b], 2]);
    expect(index.has(entry('a', '1.0.0'))).toBe(false);
    index.delete(a);
    expect([
      index.find('a', '1.0.0'),
      index.ofDigest(digest),
      index.ofName('a'),
      index.latest('a'),
      index.size,
    ]).toEqual([undefined, [b], [], undefined, 1]);
    expect(index.names).toEqual(['b']);
    expect(() => index.delete(a)).toThrow('a version that is deleted was there');
    expect(() => index.add(b)).toThrow('a version is added once');
  });

  test('pages through any set of versions without a gap or a repeat', () => {
    const part = fc.integer({ min: 0, max: 2 });
    const version = fc
      .tuple(part, part, part, fc.constantFrom('', '-rc.1', '-rc.2', '+a', '+b', '-rc.1+a'))
      .map(([major, minor, patch, rest]) => `${major}.${minor}.${patch}${rest}`);
    const reference = fc.tuple(fc.constantFrom('a', 'ab', 'b'), version).map((both) => both.join('@'));
    fc.assert(
      fc.property(fc.uniqueArray(reference, { maxLength: 30 }), fc.integer({ min: 1, max: 5 }), (references, size) => {
        const index = indexOf(...references.map((text) => entry(...(text.split('@') as [string, string]))));
        const pages: string[] = [];
        for (;;) {
          const [name, version] = (pages.at(-1) ?? '').split('@');
          const after = name !== undefined && version !== undefined ? { name, version } : undefined;
          const page = referencesIn(index.inOrder({ after })).slice(0, size);
          pages.push(...page);
          if (page.length < size) break;
        }
        expect(pages.toSorted()).toEqual(references.toSorted());
        for (let at = 1; at < pages.length; at++) {
          const [before, after] = [pages[at - 1]?.split('@') ?? [], pages[at]?.split('@') ?? []];
          if (before[0] === after[0]) expect(compareBuild(before[1] ?? '', after[1] ?? '')).toBe(1);
          else expect((before[0] ?? '') < (after[0] ?? '')).toBe(true);
        }
      }),
    );
  });
});
