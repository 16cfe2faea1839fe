/** Tests that take long or need the network run only if somebody asks for them, and say so. */

import type { TestContext } from 'vitest';

export const isFullRun: boolean = process.env['CAISSON_TEST_FULL'] === '1';
export const onlyInFullRuns = 'only with CAISSON_TEST_FULL=1';

/** Skips a test and says why where it can be seen. */
export function skipBecause({ task, skip }: TestContext, reason: string): never {
  process.stderr.write(`SKIPPED "${task.name}": ${reason}\n`);
  return skip(reason);
}
