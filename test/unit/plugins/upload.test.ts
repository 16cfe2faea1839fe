import { describe, expect, test } from 'vitest';
import { digestOf } from '../../../src/base/digest.ts';
import { AbortReason } from '../../../src/model/abort-reason.ts';
import { type PluginUploadHeader, receiveUpload, type Upload } from '../../../src/plugins/upload.ts';
import { execErrorOf, ManualClock, reasonOf } from './fakes.ts';
import { chunksOf } from './fixtures.ts';

const bytes = Uint8Array.from({ length: 1_000 }, (_, index) => index);
const header: PluginUploadHeader = { manifestText: '{}', sha256: digestOf(bytes), sizeBytes: bytes.length };
const bounds = { moduleBytesMax: 4_194_304, uploadIdleMsMax: 30_000, uploadMsMax: 600_000 };

interface Given {
  readonly header?: Partial<PluginUploadHeader>;
  readonly chunks?: AsyncIterable<Uint8Array>;
  readonly clock?: ManualClock;
  readonly signal?: AbortSignal;
}

async function receive(given: Given = {}): Promise<Upload> {
  const { chunks = chunksOf(bytes, 300), clock = new ManualClock(), signal = new AbortController().signal } = given;
  return await receiveUpload({ ...header, ...given.header }, chunks, { clock, bounds, signal });
}

async function* of(...chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* chunks;
}

/** Chunks whose sender stops after the first and never notices that nobody reads on. */
async function* stalling(first: Uint8Array): AsyncGenerator<Uint8Array> {
  yield first;
  await new Promise(() => {});
}

/** Lets everything happen that does not wait for time to pass. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
}

describe('receiveUpload', () => {
  test('collects the chunks into exactly the bytes announced', async () => {
    const clock = new ManualClock();
    const upload = await receive({ clock });
    expect(upload).toEqual({ manifestText: '{}', bytes, digest: digestOf(bytes) });
    expect(upload.bytes.buffer.byteLength).toBe(bytes.length);
    expect(clock.timers).toBe(0);
  });

  test.each(['sha256:', '', 'SHA256:'])('takes the digest with %j before it, in either case', async (prefix) => {
    const hex = digestOf(bytes).slice('sha256:'.length).toUpperCase();
    expect((await receive({ header: { sha256: prefix + hex } })).digest).toBe(digestOf(bytes));
  });

  test.each([
    [{ manifestText: '' }, 'REQUEST_INVALID', 'header.manifest: is required'],
    [
      { manifestText: 'é'.repeat(32_769) },
      'REQUEST_INVALID',
      'header.manifest: must have at most 65536 bytes, but has 65538',
    ],
    [{ sha256: '' }, 'REQUEST_INVALID', 'header.sha256: is required'],
    [
      { sha256: 'abc' },
      'REQUEST_INVALID',
      'header.sha256: must be 64 hex digits, with or without "sha256:" before them',
    ],
    [
      { sizeBytes: 0 },
      'REQUEST_INVALID',
      'header.size_bytes: must be the number of bytes of the module, greater than 0',
    ],
    [{ sizeBytes: -1 }, 'REQUEST_INVALID', 'header.size_bytes'],
    [{ sizeBytes: 1.5 }, 'REQUEST_INVALID', 'header.size_bytes'],
    [{ sizeBytes: Number.NaN }, 'REQUEST_INVALID', 'header.size_bytes'],
    [
      { sizeBytes: 4_194_305 },
      'UPLOAD_TOO_LARGE',
      'The header announces 4194305 bytes; this server takes modules of at most 4194304 bytes',
    ],
    [{ sizeBytes: 999 }, 'UPLOAD_TOO_LARGE', 'The upload goes on after the 999 bytes announced'],
    [{ sizeBytes: 1_001 }, 'UPLOAD_INCOMPLETE', 'The upload ended after 1000 of the 1001 bytes announced'],
    [{ sha256: '0'.repeat(64) }, 'DIGEST_MISMATCH', `but the module has "${digestOf(bytes)}"`],
  ])('refuses the header %j', async (fields, reason, message) => {
    const error = await execErrorOf(() => receive({ header: fields }));
    expect(error.reason).toBe(reason);
    expect(error.message).toContain(message);
  });

  test('names every wrong field of the header at once', async () => {
    const error = await execErrorOf(() => receive({ header: { manifestText: '', sha256: 'x', sizeBytes: 0 } }));
    expect(error.violations.map(({ field }) => field)).toEqual([
      'header.manifest',
      'header.sha256',
      'header.size_bytes',
    ]);
  });

  test('refuses an empty chunk', async () => {
    const error = await execErrorOf(() => receive({ chunks: of(bytes.subarray(0, 10), new Uint8Array()) }));
    expect(error.reason).toBe('UPLOAD_MALFORMED');
    expect(error.message).toBe('The chunk at byte 10 is empty');
  });

  test('takes a chunk of 1 MiB and refuses a longer one', async () => {
    const large = new Uint8Array(1_048_577);
    const announced = (length: number): Partial<PluginUploadHeader> => ({
      sizeBytes: length,
      sha256: digestOf(large.subarray(0, length)),
    });
    const exact = large.subarray(0, 1_048_576);
    expect((await receive({ header: announced(exact.length), chunks: of(exact) })).bytes).toHaveLength(1_048_576);
    expect(await reasonOf(() => receive({ header: announced(large.length), chunks: of(large) }))).toBe(
      'UPLOAD_MALFORMED',
    );
  });

  test('gives up when the next chunk is late, but not when they are just slow', async () => {
    const clock = new ManualClock();
    async function* slow(): AsyncGenerator<Uint8Array> {
      for (let at = 0; at < 1_000; at += 250) {
        await clock.sleep(29_999);
        yield bytes.subarray(at, at + 250);
      }
    }
    const upload = receive({ chunks: slow(), clock });
    for (let turn = 0; turn < 4; turn++) {
      await settle();
      clock.advance(29_999);
    }
    expect((await upload).bytes).toEqual(bytes);
    const stalled = execErrorOf(() => receive({ chunks: stalling(bytes.subarray(0, 10)), clock }));
    await settle();
    clock.advance(30_000);
    const error = await stalled;
    expect(error.reason).toBe('UPLOAD_STALLED');
    expect(error.message).toBe('No chunk came for 30 s');
  });

  test('gives up when the whole upload takes too long, however regular its chunks', async () => {
    const clock = new ManualClock();
    async function* trickle(): AsyncGenerator<Uint8Array> {
      for (let at = 0; ; at++) {
        await clock.sleep(29_000);
        yield bytes.subarray(at, at + 1);
      }
    }
    const upload = execErrorOf(() => receive({ chunks: trickle(), clock }));
    for (let turn = 0; turn < 21; turn++) {
      await settle();
      clock.advance(29_000);
    }
    const error = await upload;
    expect(error.reason).toBe('UPLOAD_STALLED');
    expect(error.message).toBe('The upload was not complete after 600 s');
  });

  test.each([
    ['CANCELED', 'CANCELED'],
    ['DISCONNECTED', 'CANCELED'],
    ['DEADLINE', 'DEADLINE_EXCEEDED'],
    ['SHUTDOWN', 'SHUTTING_DOWN'],
  ] as const)('ends at once when the call is aborted as %s', async (kind, reason) => {
    const clock = new ManualClock();
    const canceling = new AbortController();
    const upload = reasonOf(() =>
      receive({ chunks: stalling(bytes.subarray(0, 10)), clock, signal: canceling.signal }),
    );
    await settle();
    canceling.abort(new AbortReason(kind));
    expect(await upload).toBe(reason);
    expect(clock.timers).toBe(0);
  });

  test('reads nothing for a call that is aborted already', async () => {
    let read = false;
    async function* chunks(): AsyncGenerator<Uint8Array> {
      read = true;
      yield bytes;
    }
    expect(await reasonOf(() => receive({ chunks: chunks(), signal: AbortSignal.abort() }))).toBe('CANCELED');
    expect(read).toBe(false);
  });

  test('lets the source clean up when the upload is refused', async () => {
    let closed = false;
    async function* chunks(): AsyncGenerator<Uint8Array> {
      try {
        for (;;) yield bytes;
      } finally {
        closed = true;
      }
    }
    expect(await reasonOf(() => receive({ chunks: chunks() }))).toBe('UPLOAD_TOO_LARGE');
    await settle();
    expect(closed).toBe(true);
  });

  test('passes on what the source throws', async () => {
    async function* chunks(): AsyncGenerator<Uint8Array> {
      yield bytes.subarray(0, 1);
      throw new Error('connection reset');
    }
    await expect(receive({ chunks: chunks() })).rejects.toThrow('connection reset');
  });
});
