/** Analyses and compiles a module at once and in the caller's thread, as the compiler does in two steps in its own. */

import type { Digest } from '../../src/base/digest.ts';
import { ExecError } from '../../src/model/exec-error.ts';
import type { CompiledPlugin } from '../../src/sandbox/protocol.ts';
import { analyseModule, type ModuleRequest } from '../../src/sandbox/thread/compile.ts';

/** Throws an ExecError with the first of the module's problems. */
export function compileModule(request: ModuleRequest, digest: Digest): CompiledPlugin {
  const { problems, unlinkable, composed } = analyseModule(request);
  const problem = problems[0] ?? unlinkable;
  if (problem) throw new ExecError(problem.reason, `${problem.message} (at ${problem.location})`);
  if (composed === undefined) throw new ExecError('INTERNAL', 'A module without problems was not rewritten');
  const { bytes, ...facts } = composed;
  return { key: `${digest}/${request.memoryBytes}`, module: new WebAssembly.Module(bytes), ...facts };
}
