/** The hooks that every registry has: a module is verified and checked before it is loaded, and let go of when it is unloaded. */

import type { Log } from '../model/log.ts';
import { type PluginVersion, referenceOf } from '../model/plugin.ts';
import type { LifecycleHook } from './hooks.ts';

export interface BuiltInWork {
  /** Reads the module and compares its digest. */
  readonly verify: (version: PluginVersion, signal: AbortSignal) => Promise<void>;
  /** Validates manifest and module anew if the server has not done so since it started: its policy may have changed. */
  readonly recheck: (version: PluginVersion, signal: AbortSignal) => Promise<void>;
  /** Forgets the compiled variants that nobody else uses. */
  readonly release: (version: PluginVersion) => void;
  readonly log: Log;
}

/** Generous, since what a hook waits for is bounded in itself: this is for a disk that hangs. */
const timeoutMs = 600_000;

export function builtInHooks(work: BuiltInWork): readonly LifecycleHook[] {
  return [
    { name: 'verify-digest', phase: 'preLoad', priority: 100, critical: true, timeoutMs, run: work.verify },
    { name: 'recheck-policy', phase: 'preLoad', priority: 90, critical: true, timeoutMs, run: work.recheck },
    {
      name: 'register',
      phase: 'postLoad',
      priority: 100,
      critical: false,
      timeoutMs,
      run: (version) => register(version, work.log),
    },
    { name: 'release-variants', phase: 'preUnload', priority: 100, critical: false, timeoutMs, run: work.release },
  ];
}

function register(version: PluginVersion, log: Log): void {
  const { digest, functions, manifest } = version;
  log.info(
    { plugin: referenceOf(version), digest, functions: functions.length, capabilities: manifest.capabilities },
    'Plugin loaded',
  );
}
