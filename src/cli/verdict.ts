/** Whether a module could be published, and every problem that stands against it, as people read it. Pure. */

import { shown } from './output.ts';

export interface Verdict {
  readonly valid: boolean;
  readonly problems: readonly {
    readonly reason: string;
    readonly location: string;
    readonly message: string;
    /** What to add to the manifest; empty if that would not help. */
    readonly manifestLine: string;
  }[];
}

/** A line with the verdict, then the problems. */
export function verdictText({ valid, problems }: Verdict): string {
  const head = valid ? 'Valid: it could be published' : `Not valid: ${problemCount(problems.length)}`;
  const lines = problems.flatMap(({ reason, location, message, manifestLine }) => [
    `  ${shown(reason)} at ${shown(location) || 'the upload'}: ${shown(message)}`,
    ...(manifestLine === '' ? [] : [`    add to the manifest: ${shown(manifestLine)}`]),
  ]);
  return `${[head, ...lines].join('\n')}\n`;
}

function problemCount(count: number): string {
  return count === 1 ? '1 problem' : `${count} problems`;
}
