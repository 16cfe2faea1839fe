/**
 * Collects everything that is wrong with the fields of one request, so that the
 * caller learns all of it at once. Knows checks that several services share;
 * which field needs which check stands beside the conversion.
 */

import { boundedText, singleLine } from '../base/text.ts';
import { ExecError, type FieldViolation } from '../model/exec-error.ts';
import type { Reason } from '../model/reasons.ts';

/** More are not told: the details of a status have no room for them. */
const violationsMax = 32;
const shownBytesMax = 64;

/** The violations of one request, in the order in which they were found. */
export class Violations {
  readonly #found: FieldViolation[] = [];

  /** `description` continues the field's name: "must …". */
  add(field: string, description: string): void {
    if (this.#found.length < violationsMax) this.#found.push({ field, description });
  }

  addAll(violations: readonly FieldViolation[]): void {
    for (const { field, description } of violations) this.add(field, description);
  }

  get any(): boolean {
    return this.#found.length > 0;
  }

  /** Throws `reason` naming every violation, if there is any. */
  throwIfAny(reason: Reason = 'REQUEST_INVALID'): void {
    const [first] = this.#found;
    if (!first) return;
    const more = this.#found.length > 1 ? ` (and ${this.#found.length - 1} more, see BadRequest)` : '';
    throw new ExecError(reason, `${first.field}: ${first.description}${more}`, { violations: this.#found });
  }
}

/** Text of a caller inside one of our sentences: quoted, on one line, short. */
export function shown(text: string): string {
  return `"${boundedText(singleLine(text), shownBytesMax)}"`;
}

/** Path of a map's entry, such as `labels["team"]`. */
export function entryPath(field: string, key: string): string {
  return `${field}[${shown(key)}]`;
}
