/** Every bound of the registry, with its default. */

export interface PluginBounds {
  /** Bytes of one module. */
  readonly moduleBytesMax: number;
  /** Uploads at once, each holding its module in memory until it is published or refused. */
  readonly uploadsMax: number;
  /** Pause between two chunks after which an upload is given up. */
  readonly uploadIdleMsMax: number;
  /** From the first to the last chunk of an upload, so that many small chunks cannot keep a place for ever. */
  readonly uploadMsMax: number;
  /** Versions stored. */
  readonly versionsMax: number;
  /** Bytes of all versions' manifests, which are kept in memory. */
  readonly manifestBytesMax: number;
  /** Calls waiting for one version's state to change. */
  readonly transitionsWaitingMax: number;
  /** Compiled variants kept: one for each module and limit of memory. */
  readonly variantsMax: number;
  /** Bytes of the modules whose compiled variants are kept, counted once for each variant. */
  readonly variantBytesMax: number;
  /** Files that keep what modules were rewritten to, one for each module and limit of memory; those used longest ago go. */
  readonly rewrittenFilesMax: number;
  /** Bytes of all these files together. */
  readonly rewrittenBytesMax: number;
  /** Changes to these files that wait for each other. */
  readonly rewrittenWaitingMax: number;
  /** Stored modules in memory at once, to be verified or compiled. */
  readonly modulesReadMax: number;
  /** Calls waiting to have a stored module in memory. */
  readonly modulesWaitingMax: number;
  readonly watchersMax: number;
  /** Changes that a watcher may be behind. */
  readonly watcherChangesMax: number;
  /** Versions loaded in the background when the registry opens; 0 for none. */
  readonly warmUpMax: number;
}

export const pluginBoundsDefault: PluginBounds = {
  moduleBytesMax: 16 * 1_048_576,
  uploadsMax: 4,
  uploadIdleMsMax: 30_000,
  uploadMsMax: 600_000,
  versionsMax: 10_000,
  manifestBytesMax: 64 * 1_048_576,
  transitionsWaitingMax: 100,
  variantsMax: 64,
  variantBytesMax: 256 * 1_048_576,
  rewrittenFilesMax: 1_000,
  rewrittenBytesMax: 1_024 * 1_048_576,
  rewrittenWaitingMax: 100,
  modulesReadMax: 2,
  modulesWaitingMax: 1_000,
  watchersMax: 100,
  watcherChangesMax: 1_000,
  warmUpMax: 32,
};
