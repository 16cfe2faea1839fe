import { describe, expect, test } from 'vitest';
import { readH2Load } from '../../../bench/h2load.ts';

const printed = `starting benchmark...
spawning thread #0: 8 total client(s). 396 total requests
Application protocol: h2c
progress: 98% done

finished in 936.08ms, 423.04 req/s, 26.49MB/s
requests: 396 total, 396 started, 396 done, 390 succeeded, 6 failed, 6 errored, 0 timeout
status codes: 390 2xx, 0 3xx, 0 4xx, 0 5xx
traffic: 24.80MB (26002357) total, 1.43KB (1468) headers (space savings 94.78%), 24.76MB (25958196) data
                     min         max         mean         sd        +/- sd
time for request:     2.71ms    264.77ms    148.98ms     72.21ms    57.83%
`;

describe('What h2load prints', () => {
  test('is read: rate, calls that did not succeed, bytes of answers', () => {
    expect(readH2Load(printed)).toEqual({ callsPerSecond: 423.04, calls: 396, failures: 6, dataBytes: 25_958_196 });
  });

  test('is refused if it is something else', () => {
    expect(() => readH2Load('Could not connect')).toThrow('h2load printed something else:\nCould not connect');
  });
});
