/**
 * Capability "spans": a guest says what it spends its time on. Spans nest as they
 * are opened; each is told when it ends, those still open at the end of the call.
 */

import { boundedText, singleLine } from '../base/text.ts';
import type { GuestSpan } from '../model/execution.ts';
import { fixedLimits } from '../model/limits.ts';
import type { CallContext, HostFamily } from './call-context.ts';
import { freeAll } from './guest-values.ts';
import { shownText } from './guest-text.ts';
import { withoutSecrets } from './secrets-read.ts';

const unnamed = 'unnamed';

interface OpenSpan {
  readonly name: string;
  readonly startMs: number;
  readonly parent: number | undefined;
  /** Bounded by fixedLimits.spanAttributes. */
  readonly attributes: Map<string, string>;
}

export function spansFamily(call: CallContext): HostFamily {
  /** By index, in the order of their starts; bounded by fixedLimits.spans. The last one is the innermost. */
  const open = new Map<number, OpenSpan>();
  let started = 0;

  const end = (index: number, span: OpenSpan): void => {
    open.delete(index);
    call.events.send({ type: 'span', span: spanOf(index, span, Math.max(span.startMs, call.clock.now())) });
  };

  return {
    functions: {
      /** The id of a new span within the innermost open one; 0 if the run has had its number of them. Frees the name. */
      span_start(name: bigint): bigint {
        const isRoom = started < fixedLimits.spans;
        if (isRoom) {
          const [parent] = [...open.keys()].slice(-1);
          const text = lineOf(call, name) || unnamed;
          open.set(started++, { name: text, startMs: call.clock.now(), parent, attributes: new Map() });
        }
        freeAll(call, name);
        return isRoom ? BigInt(started) : 0n;
      },

      /** Gives an open span an attribute, the last value of a key counting. Frees key and value. */
      span_set(id: bigint, key: bigint, value: bigint): void {
        const attributes = open.get(indexOf(id))?.attributes;
        if (attributes) setAttribute(attributes, lineOf(call, key), lineOf(call, value));
        freeAll(call, value, key);
      },

      /** Ends an open span; those opened within it stay open. */
      span_end(id: bigint): void {
        const index = indexOf(id);
        const span = open.get(index);
        if (span) end(index, span);
      },
    },
    flush() {
      for (const [index, span] of [...open].toReversed()) end(index, span);
    },
  };
}

/** Ids count from 1, so that 0 is none. Any number is possible: no span has an index that is none of ours. */
function indexOf(id: bigint): number {
  return Number(id) - 1;
}

function setAttribute(attributes: Map<string, string>, key: string, value: string): void {
  if (key === '') return;
  if (attributes.has(key) || attributes.size < fixedLimits.spanAttributes) attributes.set(key, value);
}

/** The block's text on one line, empty if there is no such block. */
function lineOf(call: CallContext, address: bigint): string {
  const bytes = call.blocks.view(address) ?? new Uint8Array();
  call.chargeBytes(Math.min(bytes.length, fixedLimits.spanTextBytes));
  const told = withoutSecrets(call, bytes, fixedLimits.spanTextBytes + 1);
  return boundedText(singleLine(shownText(told, fixedLimits.spanTextBytes)), fixedLimits.spanTextBytes);
}

function spanOf(index: number, { name, startMs, parent, attributes }: OpenSpan, endMs: number): GuestSpan {
  const fields = { name, startMs, endMs, index, attributes: Object.fromEntries(attributes) };
  return parent === undefined ? fields : { ...fields, parent };
}
