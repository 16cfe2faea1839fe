/** A collector on loopback that decodes of OTLP's protobuf what tests look at. */

import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';

export interface SinkSpan {
  readonly traceId: string;
  readonly spanId: string;
  /** Empty for a root. */
  readonly parentId: string;
  readonly traceState: string;
  readonly name: string;
  /** 1 INTERNAL, 2 SERVER. */
  readonly kind: number;
  readonly startMs: number;
  readonly endMs: number;
  readonly attributes: Readonly<Record<string, string>>;
  /** 0 unset, 1 OK, 2 ERROR. */
  readonly status: number;
}

export interface OtlpSink extends AsyncDisposable {
  readonly url: string;
  readonly spans: SinkSpan[];
  readonly resource: Record<string, string>;
  readonly requests: { readonly path: string; readonly headers: IncomingHttpHeaders }[];
}

/** `status` is what it answers with; 0 for never. */
export async function startSink(status = 200): Promise<OtlpSink> {
  const spans: SinkSpan[] = [];
  const resource: Record<string, string> = {};
  const requests: OtlpSink['requests'] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      requests.push({ path: request.url ?? '', headers: request.headers });
      const decoded = decodeRequest(Buffer.concat(chunks));
      spans.push(...decoded.spans);
      Object.assign(resource, decoded.resource);
      if (status !== 0) response.writeHead(status).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    spans,
    resource,
    requests,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

type Fields = ReadonlyMap<number, readonly (Uint8Array | bigint)[]>;

function fieldsOf(bytes: Uint8Array): Fields {
  const reader = new BinaryReader(bytes);
  const fields = new Map<number, (Uint8Array | bigint)[]>();
  while (reader.pos < reader.len) {
    const [number, type] = reader.tag();
    const values = fields.get(number) ?? [];
    fields.set(number, values);
    if (type === WireType.LengthDelimited) values.push(reader.bytes());
    else if (type === WireType.Varint) values.push(BigInt(reader.uint64()));
    else if (type === WireType.Bit64) values.push(BigInt(reader.fixed64()));
    else reader.skip(type);
  }
  return fields;
}

function messages(fields: Fields, number: number): readonly Fields[] {
  return (fields.get(number) ?? []).map((value) => fieldsOf(value as Uint8Array));
}

function bytes(fields: Fields, number: number): Buffer {
  return Buffer.from((fields.get(number)?.[0] as Uint8Array | undefined) ?? []);
}

function integer(fields: Fields | undefined, number: number): number {
  return Number(fields?.get(number)?.[0] ?? 0);
}

function attributes(fields: Fields, number: number): Record<string, string> {
  const entries = messages(fields, number).map((pair) => {
    const value = messages(pair, 2)[0];
    const text = value?.has(1) ? bytes(value, 1).toString() : String(value?.get(2)?.[0] ?? value?.get(3)?.[0]);
    return [bytes(pair, 1).toString(), text];
  });
  return Object.fromEntries(entries) as Record<string, string>;
}

function decodeRequest(body: Uint8Array): {
  readonly spans: readonly SinkSpan[];
  readonly resource: Record<string, string>;
} {
  const resources = messages(fieldsOf(body), 1);
  const spans = resources.flatMap((resource) => messages(resource, 2)).flatMap((scope) => messages(scope, 2));
  const resource = resources.flatMap((one) => messages(one, 1)).map((one) => attributes(one, 1));
  return { spans: spans.map(spanOf), resource: Object.assign({}, ...resource) as Record<string, string> };
}

function spanOf(span: Fields): SinkSpan {
  return {
    traceId: bytes(span, 1).toString('hex'),
    spanId: bytes(span, 2).toString('hex'),
    traceState: bytes(span, 3).toString(),
    parentId: bytes(span, 4).toString('hex'),
    name: bytes(span, 5).toString(),
    kind: integer(span, 6),
    startMs: integer(span, 7) / 1e6,
    endMs: integer(span, 8) / 1e6,
    attributes: attributes(span, 9),
    status: integer(messages(span, 15)[0], 3),
  };
}
