import { describe, expect, test } from 'vitest';
import { AbortReason } from '../../../src/model/abort-reason.ts';
import { emptyUsage, failedOutcome, type OutcomeKind, outcomeKinds } from '../../../src/model/outcome.ts';

describe('failedOutcome', () => {
  test.each(Object.keys(outcomeKinds) as OutcomeKind[])('gives %s the name of its outcome', (kind) => {
    const outcome = failedOutcome(kind, 'why', emptyUsage);
    expect(outcome).toEqual({
      name: outcomeKinds[kind].outcome,
      error: { kind, message: 'why', guestStack: [] },
      usage: emptyUsage,
    });
  });

  test('carries the stack of the guest', () => {
    const frames = [{ function: 'f', functionIndex: 1, offset: 2 }];
    expect(failedOutcome('TRAP', '', emptyUsage, frames)).toMatchObject({ error: { guestStack: frames } });
  });

  test('is what the contract says for what stops a run from outside', () => {
    const names = (['TIMEOUT', 'CANCELED', 'DISCONNECTED', 'DEADLINE', 'SHUTDOWN'] as const).map(
      (kind) => failedOutcome(kind, '', emptyUsage).name,
    );
    expect(names).toEqual(['TIMED_OUT', 'CANCELED', 'CANCELED', 'CANCELED', 'CANCELED']);
  });
});

describe('AbortReason', () => {
  test('explains itself where no text is given', () => {
    const reason = new AbortReason('SHUTDOWN');
    expect(reason).toBeInstanceOf(Error);
    expect(reason.message).toBe(outcomeKinds.SHUTDOWN.help);
    expect(new AbortReason('TIMEOUT', 'after 5 s').message).toBe('after 5 s');
  });

  test('is found on a signal, and stands in for a reason of another kind', () => {
    const reason = new AbortReason('DEADLINE');
    expect(AbortReason.of(AbortSignal.abort(reason))).toBe(reason);
    expect(AbortReason.of(AbortSignal.abort()).kind).toBe('CANCELED');
  });
});
