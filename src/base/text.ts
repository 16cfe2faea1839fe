/**
 * Hostile text made safe: well-formed UTF-16, cut to a length, without control
 * characters. Everything that a guest or a caller wrote passes through here
 * before it reaches a status, a log line or an event.
 */

const cutMark = '…';

/**
 * Well-formed text of at most `bytesMax` bytes of UTF-8, cut between characters
 * and marked with an ellipsis if it was longer. The ellipsis needs 3 bytes: with
 * fewer nothing is left of a text that is too long.
 */
export function boundedText(text: string, bytesMax: number): string {
  // No character has fewer bytes than UTF-16 units: what is cut off here would be cut off below.
  const wellFormed = text.length > bytesMax ? text.slice(0, bytesMax + 1).toWellFormed() : text.toWellFormed();
  if (wellFormed.length <= bytesMax && Buffer.byteLength(wellFormed) <= bytesMax) return wellFormed;
  const bytes = Buffer.from(wellFormed);
  let end = bytesMax - Buffer.byteLength(cutMark);
  if (end < 0) return '';
  while (end > 0 && (bytes[end] ?? 0) >> 6 === 0b10) end--;
  return bytes.toString('utf8', 0, end) + cutMark;
}

/** Text for a single line: control characters written as \uXXXX. */
export function singleLine(text: string): string {
  return text.replace(/[\p{Cc}\u2028\u2029]/gu, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** Whether the text holds a control character (C0, DEL or C1). */
export function hasControlCharacter(text: string): boolean {
  return /\p{Cc}/u.test(text);
}
