/**
 * Keeps values that nobody may see out of text and bytes. It guards against
 * accidents: a value that was encoded, split or turned around is not recognised,
 * and values shorter than `redactedBytesMin` are too common to be replaced.
 */

/** Shorter values stay as they are. */
export const redactedBytesMin = 4;
/** Values that one redactor tells apart; with more of them it lets nothing through at all. */
export const redactedValuesMax = 256;

const mark = '[redacted]';
const markBytes = new TextEncoder().encode(mark);
const lenient = new TextDecoder('utf-8', { ignoreBOM: true });

/** The text with every occurrence of a secret replaced; of occurrences that overlap, nothing is left. */
export function redact(text: string, secrets: readonly string[]): string {
  const told = secrets.filter((secret) => Buffer.byteLength(secret) >= redactedBytesMin);
  return withoutSpans(text, spansOf(text, told), text.length);
}

/** The values that one run has come to know. */
export class Redactor {
  /** Bounded by redactedValuesMax; the values as text with a unit for each byte. */
  readonly #values = new Map<string, string>();
  /** Of the longest value. */
  #bytesMax = 0;
  #isFull = false;

  add(value: Uint8Array): void {
    if (value.length < redactedBytesMin) return;
    const units = Buffer.from(value).toString('latin1');
    this.#isFull ||= this.#values.size >= redactedValuesMax && !this.#values.has(units);
    if (this.#isFull) return;
    this.#values.set(units, lenient.decode(value));
    this.#bytesMax = Math.max(this.#bytesMax, value.length);
  }

  text(text: string): string {
    return this.#isFull ? mark : redact(text, [...this.#values.values()]);
  }

  /**
   * The first `lengthMax` bytes, a value that begins there replaced even if it
   * ends beyond. The bytes themselves if there is nothing to replace.
   */
  bytes(bytes: Uint8Array, lengthMax: number = bytes.length): Uint8Array {
    if (this.#isFull) return markBytes;
    const window = bytes.subarray(0, lengthMax + this.#bytesMax);
    const units = Buffer.from(window.buffer, window.byteOffset, window.byteLength).toString('latin1');
    const spans = spansOf(units, [...this.#values.keys()]);
    if (spans.length === 0) return bytes.subarray(0, lengthMax);
    return new Uint8Array(Buffer.from(withoutSpans(units, spans, lengthMax), 'latin1'));
  }
}

interface Span {
  readonly begin: number;
  readonly end: number;
}

/** The first `lengthMax` units of the text, with what begins there replaced. */
function withoutSpans(text: string, spans: readonly Span[], lengthMax: number): string {
  let [redacted, end] = ['', 0];
  for (const span of spans) {
    if (span.begin >= lengthMax) break;
    redacted += text.slice(end, span.begin) + mark;
    end = span.end;
  }
  return redacted + text.slice(end, Math.max(end, lengthMax));
}

/** Where secrets are, in order; what overlaps or touches is one. */
function spansOf(text: string, secrets: readonly string[]): readonly Span[] {
  const found = secrets
    .flatMap((secret) => occurrences(text, secret))
    .toSorted((one, other) => one.begin - other.begin);
  const spans: Span[] = [];
  for (const span of found) {
    const last = spans.at(-1);
    if (last && span.begin <= last.end)
      spans[spans.length - 1] = { begin: last.begin, end: Math.max(last.end, span.end) };
    else spans.push(span);
  }
  return spans;
}

function occurrences(text: string, secret: string): readonly Span[] {
  const spans: Span[] = [];
  for (let at = text.indexOf(secret); at >= 0; at = text.indexOf(secret, at + 1)) {
    spans.push({ begin: at, end: at + secret.length });
  }
  return spans;
}
