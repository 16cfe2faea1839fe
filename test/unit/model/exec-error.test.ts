import { describe, expect, test } from 'vitest';
import { ExecError } from '../../../src/model/exec-error.ts';
import { type Reason, reasons, retryDelayMsDefault } from '../../../src/model/reasons.ts';

describe('ExecError', () => {
  test.each(Object.keys(reasons) as Reason[])('has a delay for %s only if another try may help', (reason) => {
    const { retryDelayMs } = new ExecError(reason, 'why');
    expect(retryDelayMs).toBe(reasons[reason].retryable ? retryDelayMsDefault : undefined);
  });

  test('keeps its facts and its cause', () => {
    const cause = new Error('disk');
    const violations = [{ field: 'input', description: 'too long' }];
    const error = new ExecError('QUEUE_FULL', 'full', { cause, violations, metadata: { depth: '9' }, retryDelayMs: 5 });
    expect(error).toMatchObject({ name: 'ExecError', message: 'full', cause, violations, retryDelayMs: 5 });
    expect(error.metadata).toEqual({ depth: '9' });
    expect('cause' in new ExecError('INTERNAL', 'x')).toBe(false);
  });

  test('is made of anything thrown, whose text does not leave the process', () => {
    const error = new ExecError('QUEUE_FULL', 'full');
    expect(ExecError.from(error)).toBe(error);
    const thrown = new TypeError('secret path');
    expect(ExecError.from(thrown)).toMatchObject({ reason: 'INTERNAL', message: 'internal error', cause: thrown });
    expect(ExecError.from('text')).toMatchObject({ reason: 'INTERNAL', cause: 'text' });
  });
});
