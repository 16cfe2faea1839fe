/** Folders of an operator, made up: answers to 'wasi.mount' out of a tree of text. */

import {
  fileKinds,
  mountCodes,
  mountOperations,
  readMountRequest,
  writeMountEntries,
  writeMountStat,
} from '../../../../src/capabilities/wasi/outside.ts';
import type { HostAnswer } from '../../../../src/model/operation.ts';
import { type Answerer, localAnswers } from './running.ts';

/** A directory by its entries, a file by its content, or the code on which it answers. */
export type Tree = { readonly [name: string]: Tree | string | number };

const nothing = new Uint8Array();
export const changedNs = 1_600_000_000_000_000_000n;

/** Answers for mounts by name, and as localAnswers otherwise. */
export function mountedAnswer(mounts: Tree): Answerer {
  const local = localAnswers();
  return (operation, request) => (operation === 'wasi.mount' ? answer(mounts, request) : local(operation, request));
}

function answer(mounts: Tree, bytes: Uint8Array): HostAnswer {
  const { operation, mount, path, offset, length } = readMountRequest(bytes);
  const node = nodeAt(mounts, [mount, ...path.split('/').filter((name) => name !== '')]);
  if (node === undefined) return { code: mountCodes.notFound, payload: nothing };
  if (typeof node === 'number') return { code: node, payload: nothing };
  if (operation === mountOperations.stat) {
    const isFile = typeof node === 'string';
    const stat = { kind: isFile ? fileKinds.file : fileKinds.folder, sizeBytes: isFile ? node.length : 0, changedNs };
    return { code: mountCodes.ok, payload: writeMountStat(stat) };
  }
  if (operation === mountOperations.list) return listed(node);
  return typeof node === 'string'
    ? { code: mountCodes.ok, payload: new Uint8Array(Buffer.from(node).subarray(offset, offset + length)) }
    : { code: mountCodes.isFolder, payload: nothing };
}

function listed(node: Tree | string): HostAnswer {
  if (typeof node === 'string') return { code: mountCodes.notFolder, payload: nothing };
  const entries = Object.entries(node).map(([name, child]) => ({
    name,
    kind: typeof child === 'string' ? fileKinds.file : fileKinds.folder,
  }));
  return { code: mountCodes.ok, payload: writeMountEntries(entries) };
}

function nodeAt(tree: Tree, names: readonly string[]): Tree | string | number | undefined {
  return names.reduce<Tree | string | number | undefined>(
    (node, name) => (typeof node === 'object' ? node[name] : undefined),
    tree,
  );
}
