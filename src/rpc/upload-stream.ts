/**
 * Takes the stream of an upload apart: one header, then chunks. What they say is
 * checked by plugins/.
 */

import type { PublishPluginRequest, ValidatePluginRequest } from '../gen/caisson/v1/plugin_pb.ts';
import { ExecError } from '../model/exec-error.ts';
import type { PluginUploadHeader } from '../plugins/upload.ts';

type UploadRequest = PublishPluginRequest | ValidatePluginRequest;

/** An upload whose header has been read. */
export interface UploadStream {
  readonly header: PluginUploadHeader;
  /** Views into receive buffers: to be copied by whoever keeps them. */
  readonly chunks: AsyncIterable<Uint8Array>;
}

/** Reads the header; the chunks are read as they are asked for. Throws UPLOAD_MALFORMED. */
export async function openUpload(requests: AsyncIterable<UploadRequest>): Promise<UploadStream> {
  const iterator = requests[Symbol.asyncIterator]();
  const first = await iterator.next();
  if (first.done === true) throw malformed('The upload has no message: send the header first');
  const { part } = first.value;
  if (part.case !== 'header') throw malformed('The first message of the upload is not the header: send that first');
  const { manifest, sha256, sizeBytes } = part.value;
  return { header: { manifestText: manifest, sha256, sizeBytes: Number(sizeBytes) }, chunks: chunksOf(iterator) };
}

async function* chunksOf(iterator: AsyncIterator<UploadRequest>): AsyncGenerator<Uint8Array> {
  for (let index = 1; ; index++) {
    const next = await iterator.next();
    if (next.done === true) return;
    const { part } = next.value;
    if (part.case === 'header') throw malformed(`Message ${index} of the upload is a second header: send one only`);
    if (part.case === undefined) throw malformed(`Message ${index} of the upload is empty: send a chunk`);
    yield part.value;
  }
}

function malformed(message: string): ExecError {
  return new ExecError('UPLOAD_MALFORMED', message);
}
