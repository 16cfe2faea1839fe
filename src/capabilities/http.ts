/**
 * Capability "http": requests to hosts that manifest and policy both allow, with
 * the functions of the Extism ABI. This half reads what the guest asks and writes
 * the answer; services/http decides, connects and follows redirects.
 */

import { singleLine } from '../base/text.ts';
import { fixedLimits } from '../model/limits.ts';
import { type CallContext, type HostFamily, stopped } from './call-context.ts';
import { shownText } from './guest-text.ts';
import {
  type HttpAnswer,
  type HttpRequest,
  httpCodes,
  httpRequestLimits,
  httpRequestText,
  readHttpRequest,
  splitHttpAnswer,
} from './http-messages.ts';
import { keepLogLine } from './log-lines.ts';
import { joinParts } from './parts.ts';

const encoder = new TextEncoder();
const noHeaders = new Uint8Array();

export function httpFamily(call: CallContext): HostFamily {
  let status = 0;
  let headers: Uint8Array = noHeaders;

  const warn = (text: string): void => {
    keepLogLine(call, 'warn', encoder.encode(singleLine(`http_request failed: ${text}`)));
  };

  const block = (bytes: Uint8Array, what: string): bigint => {
    const address = call.blocks.write(bytes);
    if (address !== undefined) return address;
    call.stop('KERNEL_MEMORY', `No kernel memory is left for ${what} of an answer to http_request`);
    return stopped.address;
  };

  /** Address of the answer's body, or 0. */
  const perform = (request: bigint, body: bigint): bigint => {
    const answer = answerTo(call, request, body);
    if (typeof answer === 'string') {
      warn(answer);
      return 0n;
    }
    status = answer.status;
    headers = answer.headers;
    return block(answer.body, 'the body');
  };

  return {
    functions: {
      /** The block of the answer's body, or 0 if it is empty or there is none. Frees request and body. */
      http_request(request: bigint, body: bigint): bigint {
        status = 0;
        headers = noHeaders;
        const address = perform(request, body);
        // Only now: PDKs may free both once more, which must not free an answer that took their place.
        call.blocks.free(body);
        call.blocks.free(request);
        return address;
      },

      /** The status of the last answer; 0 if there is none. */
      http_status_code: () => status,

      /** A new block with the last answer's headers as a JSON object, or 0 if there is none. */
      http_headers(): bigint {
        call.chargeBytes(headers.length);
        return block(headers, 'the headers');
      },
    },
  };
}

/** The answer, or why there is none. */
function answerTo(call: CallContext, request: bigint, body: bigint): HttpAnswer | string {
  const asked = readRequest(call, request);
  if (typeof asked === 'string') return asked;
  const content = call.blocks.view(body);
  if (content === undefined) return 'The body is not a block';
  const { requestBytesMax } = call.grant.http;
  if (content.length > requestBytesMax) {
    return `The body has ${content.length} bytes, more than the ${requestBytesMax} that the policy allows`;
  }
  call.chargeBytes(content.length);
  const { code, payload } = call.ask('http.request', joinParts(httpRequestText(asked), content));
  call.chargeBytes(payload.length);
  return code === httpCodes.answered ? splitHttpAnswer(payload) : shownText(payload, fixedLimits.logLineBytes);
}

function readRequest(call: CallContext, address: bigint): HttpRequest | string {
  const bytes = call.blocks.view(address);
  if (bytes === undefined) return 'The request is not a block';
  call.chargeBytes(Math.min(bytes.length, httpRequestLimits.textBytes));
  return readHttpRequest(bytes);
}
