/**
 * From the code of a merged module back to that of the module as published: by
 * way of the metered module, which lies between them. Plain data, fit to be
 * posted between threads.
 */

import { type OffsetMap, originalOffset } from '../metering/offset-map.ts';

export interface CodeOrigin {
  /** Index in the merged module of the first function that the published module defines. */
  readonly firstFunction: number;
  /** From the merged module to the metered one. */
  readonly merged: OffsetMap;
  /** From the metered module to the published one. */
  readonly metered: OffsetMap;
}

/** The index in the published module of a function of the merged one; undefined if that one is the server's. */
export function publishedFunctionIndex({ firstFunction, metered }: CodeOrigin, index: number): number | undefined {
  const ordinal = index - firstFunction;
  return ordinal >= 0 && ordinal < metered.definedFunctions ? metered.importedFunctions + ordinal : undefined;
}

/** The position in the published module of a byte of a body of the merged one; undefined if that body is the server's. */
export function publishedOffset({ merged, metered }: CodeOrigin, offset: number): number | undefined {
  const between = originalOffset(merged, offset);
  return between === undefined ? undefined : originalOffset(metered, between);
}
