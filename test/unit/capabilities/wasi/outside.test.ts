import { describe, expect, test } from 'vitest';
import {
  fileKinds,
  readMountEntries,
  readMountRequest,
  readMountStat,
  writeMountEntries,
  writeMountRequest,
  writeMountStat,
} from '../../../../src/capabilities/wasi/outside.ts';

describe('What is asked of a mount and answered', () => {
  test.each([
    { operation: 1, mount: 'data', path: '', offset: 0, length: 0 },
    { operation: 3, mount: 'dä ta', path: 'a/ü/\u{1f600}', offset: 2 ** 52, length: 2 ** 32 - 1 },
  ])('is read as it was written: %j', (request) => {
    expect(readMountRequest(writeMountRequest(request))).toEqual(request);
  });

  test('has stats and entries', () => {
    const stat = { kind: fileKinds.file, sizeBytes: 2 ** 52, changedNs: 2n ** 63n };
    expect(readMountStat(writeMountStat(stat))).toEqual(stat);
    const entries = [
      { name: '\ufeffa', kind: fileKinds.file },
      { name: 'ü', kind: fileKinds.unknown },
    ];
    expect(readMountEntries(writeMountEntries(entries))).toEqual(entries);
    expect(readMountEntries(writeMountEntries([]))).toEqual([]);
  });

  test('is an error if parts of it are missing', () => {
    expect(() => readMountRequest(new Uint8Array())).toThrow(RangeError);
    expect(() => readMountRequest(Uint8Array.of(1, 0, 0))).toThrow(RangeError);
  });
});
