/**
 * Makes compiled variants of stored modules: out of what analysis made of the
 * module once and was kept, else by analysing it, whose result is kept then. A
 * bounded number is made at once.
 */

import { ExecError } from '../model/exec-error.ts';
import type { Log } from '../model/log.ts';
import type { CompiledPlugin, Compiler, ModuleAnalysis } from '../sandbox/compiler.ts';
import type { Variant } from './variant.ts';
import type { PluginBounds } from './bounds.ts';
import { Gate } from './gate.ts';
import type { SoundAnalysis } from './rewritten-file.ts';
import type { RewrittenStore } from './rewritten-store.ts';
import type { VersionStore } from './version-store.ts';

export interface VariantMakerOptions {
  readonly compiler: Pick<Compiler, 'analyse' | 'compile'>;
  readonly modules: Pick<VersionStore, 'withModule'>;
  readonly rewritten: Pick<RewrittenStore, 'read' | 'write'>;
  readonly log: Log;
  readonly bounds: Pick<PluginBounds, 'modulesReadMax' | 'modulesWaitingMax'>;
}

export class VariantMaker {
  readonly #options: VariantMakerOptions;
  readonly #making: Gate;

  constructor(options: VariantMakerOptions) {
    const { modulesReadMax, modulesWaitingMax } = options.bounds;
    this.#options = options;
    this.#making = new Gate({
      holdersMax: modulesReadMax,
      waitersMax: modulesWaitingMax,
      subject: 'a rewritten module',
    });
  }

  /** What analysis finds in a stored module, or found in it earlier. */
  async analysis(variant: Variant, signal: AbortSignal): Promise<ModuleAnalysis> {
    return await this.#making.run(signal, () => this.#analysis(variant, signal));
  }

  /** Keeps what analysis made of a stored module, if it found nothing against it. */
  async keep(variant: Variant, analysis: ModuleAnalysis): Promise<void> {
    if (isSound(analysis)) await this.#options.rewritten.write(variant, analysis);
  }

  /** Rejects with the first problem of a bad module. */
  async compile(variant: Variant, signal: AbortSignal): Promise<CompiledPlugin> {
    return await this.#making.run(signal, async () => {
      const analysis = await this.#analysis(variant, signal);
      if (!isSound(analysis)) throw refusalOf(analysis);
      return await this.#options.compiler.compile({ ...variant, composed: analysis.composed }, signal);
    });
  }

  async #analysis(variant: Variant, signal: AbortSignal): Promise<ModuleAnalysis> {
    const { compiler, modules, rewritten, log } = this.#options;
    const { digest, memoryBytes } = variant;
    const kept = await rewritten.read(variant);
    log.debug({ digest, memoryBytes, kept: kept !== undefined }, 'Looked for what a module was rewritten to');
    if (kept) return kept;
    const analysis = await modules.withModule(variant, signal, (bytes) => compiler.analyse(bytes, memoryBytes, signal));
    await this.keep(variant, analysis);
    return analysis;
  }
}

function isSound(analysis: ModuleAnalysis): analysis is SoundAnalysis {
  return analysis.problems.length === 0 && analysis.info !== undefined && analysis.composed !== undefined;
}

function refusalOf({ problems, unlinkable }: ModuleAnalysis): ExecError {
  const problem = problems[0] ?? unlinkable;
  return problem
    ? new ExecError(problem.reason, `${problem.message} (at ${problem.location})`)
    : new ExecError('INTERNAL', 'A module without problems was not rewritten');
}
