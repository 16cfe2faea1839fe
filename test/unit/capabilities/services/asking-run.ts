/** The run that asks a service, as tests of services need it. */

import type { AskingRun } from '../../../../src/capabilities/services/service.ts';
import type { Grant } from '../../../../src/model/grant.ts';
import { fakeGrant } from '../fakes.ts';

export function askingRun(changed: Partial<AskingRun> & { readonly granted?: Partial<Grant> } = {}): AskingRun {
  const { granted, ...run } = changed;
  return {
    executionId: 'some-execution',
    grant: { ...fakeGrant, ...granted },
    signal: new AbortController().signal,
    fuelLeft: 1_000_000,
    chain: ['fake@1.0.0'],
    randomSeed: new Uint8Array(),
    number: 1,
    ...run,
  };
}
