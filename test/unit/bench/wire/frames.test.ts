import { describe, expect, test } from 'vitest';
import { grpcFrame, MessageReader } from '../../../../bench/wire/grpc-messages.ts';
import { FrameReader, frame, readSettings, settingsPayload } from '../../../../bench/wire/http2-frames.ts';
import { bytesField, numberField, varint } from '../../../../bench/wire/protobuf.ts';

/** The bytes in pieces of this size. */
function pieces(bytes: Buffer, size: number): readonly Buffer[] {
  const count = Math.ceil(bytes.length / size);
  return Array.from({ length: count }, (_, index) => bytes.subarray(index * size, (index + 1) * size));
}

describe.each([1, 2, 7, 10_000])('In pieces of %i bytes', (size) => {
  test('frames of HTTP/2 are found again', () => {
    const taken: unknown[] = [];
    const reader = new FrameReader((...parts) => taken.push(parts));
    const sent = Buffer.concat([frame(0, 1, 5, Buffer.from('hello')), frame(4, 0, 0, Buffer.alloc(0))]);
    for (const piece of pieces(sent, size)) reader.push(piece);
    expect(taken).toEqual([
      [0, 1, 5, Buffer.from('hello')],
      [4, 0, 0, Buffer.alloc(0)],
    ]);
  });

  test('messages of gRPC are found again', () => {
    const messages = [Buffer.from('a'), Buffer.alloc(0), Buffer.alloc(3_000, 'b')];
    const taken: Buffer[] = [];
    const reader = new MessageReader();
    for (const piece of pieces(Buffer.concat(messages.map(grpcFrame)), size))
      reader.push(piece, (message) => taken.push(message));
    expect(taken).toEqual(messages);
  });
});

test('Settings read as they were written', () => {
  const settings = [
    [1, 0],
    [4, 2 ** 31 - 1],
  ] as const;
  expect([...readSettings(settingsPayload(settings))]).toEqual(settings);
});

describe('Fields of a message', () => {
  const message = Buffer.concat([
    Buffer.of(0x08, ...varint(300)),
    Buffer.of(0x12, 2),
    Buffer.from('hi'),
    Buffer.of(0x19, 1, 2, 3, 4, 5, 6, 7, 8),
    Buffer.of(0x25, 1, 2, 3, 4),
    Buffer.of(0x12, 3),
    Buffer.from('you'),
  ]);

  test('are found behind fields of every kind, the last one counting', () => {
    expect(numberField(message, 1)).toBe(300);
    expect(bytesField(message, 2)?.toString()).toBe('you');
  });

  test('that are not there are 0 and undefined', () => {
    expect(numberField(message, 9)).toBe(0);
    expect(bytesField(message, 9)).toBeUndefined();
  });

  test('of a damaged message are refused', () => {
    expect(() => bytesField(message.subarray(0, 4), 2)).toThrow('A message ends within a field');
    expect(() => bytesField(Buffer.of(0x12, 5, 1), 2)).toThrow('A field ends after its message');
    expect(() => numberField(Buffer.of(0x0b), 1)).toThrow('A field has the unknown kind 3');
  });
});
