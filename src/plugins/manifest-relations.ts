/**
 * What is wrong in a manifest between its parts, looked at even where a part is
 * wrong by itself. The parts themselves are judged in manifest-schema.ts.
 */

import { isObject, type JsonPath, pathText } from '../base/strict-json.ts';
import type { CapabilityName } from '../model/capability.ts';
import type { FieldViolation } from '../model/exec-error.ts';
import { fixedLimits } from '../model/limits.ts';
import { shown, violationAt, type WrittenPaths } from '../model/schema-issues.ts';

/** Folders that a manifest can have mounted. */
export const mountsMax = 8;

/** `value` is the manifest in our spelling, of whatever form. */
export function relationViolations(value: unknown, written: WrittenPaths): readonly FieldViolation[] {
  if (!isObject(value)) return [];
  return [
    ...memoryConflict(value, written),
    ...['functions', 'capabilities', 'allowed_hosts', 'secrets', 'invoke'].flatMap((key) =>
      repeats(writtenAs(key, written), value[key]),
    ),
    ...overflow('config', value['config'], fixedLimits.configEntries),
    ...overflow('mounts', value['mounts'], mountsMax),
    ...nestedMounts(value['mounts']),
    ...uselessParts(value, written),
  ];
}

type Parts = Readonly<Record<string, unknown>>;

function violation(path: JsonPath, description: string): FieldViolation {
  return violationAt('manifest', path, description);
}

function writtenAs(key: string, written: WrittenPaths): JsonPath {
  return written.get(key) ?? [key];
}

function memoryConflict(value: Parts, written: WrittenPaths): readonly FieldViolation[] {
  const has = (part: unknown, key: string): boolean => isObject(part) && Object.hasOwn(part, key);
  if (!has(value['memory'], 'max_pages') || !has(value['limits'], 'memory_bytes')) return [];
  const pages = pathText(written.get('memory.max_pages') ?? ['memory', 'max_pages']);
  return [violation(['limits', 'memory_bytes'], `limits the same as "${pages}", which is given too: keep one`)];
}

function repeats(path: JsonPath, list: unknown): readonly FieldViolation[] {
  if (!Array.isArray(list)) return [];
  const seen = new Set<unknown>();
  return list.flatMap((item, index) => {
    const again = seen.has(item);
    seen.add(item);
    return again ? [violation([...path, index], `names ${shown(item)} for the second time`)] : [];
  });
}

function overflow(key: string, record: unknown, entriesMax: number): readonly FieldViolation[] {
  const entries = isObject(record) ? Object.keys(record).length : 0;
  if (entries <= entriesMax) return [];
  return [violation([key], `must have at most ${entriesMax} entries, but has ${entries}`)];
}

function nestedMounts(mounts: unknown): readonly FieldViolation[] {
  const paths = isObject(mounts) ? Object.keys(mounts).slice(0, mountsMax) : [];
  return paths.flatMap((path) => {
    const outer = paths.find((other) => path.startsWith(`${other}/`));
    return outer === undefined
      ? []
      : [violation(['mounts', path], `lies within ${shown(outer)}, which is mounted, too`)];
  });
}

/** Parts of the manifest that say nothing without a capability. */
const capabilityOfPart: Readonly<Record<string, CapabilityName>> = {
  allowed_hosts: 'http',
  secrets: 'secrets',
  invoke: 'invoke',
  mounts: 'wasi',
};

function uselessParts(value: Parts, written: WrittenPaths): readonly FieldViolation[] {
  const asked: readonly unknown[] | undefined =
    value['capabilities'] === undefined ? [] : Array.isArray(value['capabilities']) ? value['capabilities'] : undefined;
  if (asked === undefined) return [];
  return Object.entries(capabilityOfPart).flatMap(([key, capability]) => {
    if (isNothing(value[key]) || asked.includes(capability)) return [];
    const line = [...asked.filter((name) => typeof name === 'string'), capability].map((name) => shown(name));
    const description = `needs the capability "${capability}": set "capabilities": [${line.join(', ')}]`;
    return [violation(writtenAs(key, written), description)];
  });
}

function isNothing(part: unknown): boolean {
  return Array.isArray(part) ? part.length === 0 : !isObject(part) || Object.keys(part).length === 0;
}
