/** How requests that were refused end. */

import { expect } from 'vitest';
import { answerCodes } from '../../../../../src/model/operation.ts';
import type { Told } from './asking.ts';

/** The run ends, and the text says why. */
export function expectDenied(answer: Told, text: string | RegExp): void {
  expect(answer.text).toMatch(text);
  expect(answer.code).toBe(answerCodes.denied);
}

/** The guest goes on without an answer, and the text says why. */
export function expectFailed(answer: Told, text: string | RegExp): void {
  expect(answer.text).toMatch(text);
  expect(answer.code).toBe(1);
}
