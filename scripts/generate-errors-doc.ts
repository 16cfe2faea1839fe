/** Writes docs/errors.md from the two tables of the model: reasons of the platform, kinds of outcomes. */

import { writeFileSync } from 'node:fs';
import { outcomeKinds } from '../src/model/outcome.ts';
import { reasons } from '../src/model/reasons.ts';

export function errorsDocument(): string {
  const rows = Object.entries(reasons).map(
    ([reason, { code, retryable, help }]) => `| \`${reason}\` | ${code} | ${retryable ? 'yes' : 'no'} | ${help} |`,
  );
  const kinds = Object.entries(outcomeKinds).map(
    ([kind, { outcome, help }]) => `| \`${kind}\` | ${outcome} | ${help} |`,
  );
  return [
    '# Errors',
    '',
    'Generated from `src/model/reasons.ts` and `src/model/outcome.ts` by `npm run generate`.',
    '',
    'There are two places to look. What the platform refused or could not do is a gRPC status other than OK. Its',
    '`google.rpc.ErrorInfo` has the domain `caisson` and a `reason` from the first table; `BadRequest` names wrong fields,',
    '`RetryInfo` tells how long to wait where another try can help. What the guest did is status OK and an `Execution` with an',
    '`outcome`; its `error.kind` is from the second table.',
    '',
    '## Reasons of refusals',
    '',
    '| reason | status | try again | what to do |',
    '|---|---|---|---|',
    ...rows,
    '',
    '## Kinds of outcomes',
    '',
    '| kind | outcome | meaning |',
    '|---|---|---|',
    ...kinds,
    '',
  ].join('\n');
}

if (import.meta.main) writeFileSync(process.argv[2] ?? 'docs/errors.md', errorsDocument());
