/** Answers the operations of capability "kv" out of a store, within the quota of the asking run's grant. */

import type { HostAnswer, OperationName } from '../../model/operation.ts';
import { kvCodes, kvKeyOf, type KvSetRequest, readKvCompareAndSet, readKvList, readKvSet } from '../kv-requests.ts';
import type { KvNamespace, KvStore, KvWrite } from './kv-store.ts';
import type { AskingRun, HostService } from './service.ts';
import { untilStopped } from './until-stopped.ts';

/** Bytes of the JSON that one listing answers with; keys beyond it are left to the next. */
export const kvListBytesMax = 1_048_576;

const encoder = new TextEncoder();
const nothing = new Uint8Array();

export class KvService implements HostService {
  readonly #store: KvStore;

  constructor(store: KvStore) {
    this.#store = store;
  }

  answer(operation: OperationName, request: Uint8Array, run: AskingRun): Promise<HostAnswer> {
    return untilStopped(run.signal, () => this.#answer(operation, request, run));
  }

  #answer(operation: OperationName, request: Uint8Array, run: AskingRun): Promise<HostAnswer> {
    switch (operation) {
      case 'kv.get':
        return this.#get(namespaceOf(run), request);
      case 'kv.set':
        return this.#set(run, request);
      case 'kv.delete':
        return this.#delete(namespaceOf(run), request);
      case 'kv.compare_and_set':
        return this.#compareAndSet(run, request);
      case 'kv.list':
        return this.#list(namespaceOf(run), request);
      default:
        throw new TypeError(`"${operation}" is no operation of kv`);
    }
  }

  async #get(namespace: KvNamespace, request: Uint8Array): Promise<HostAnswer> {
    const key = kvKeyOf(request);
    const value = key === undefined ? undefined : await this.#store.get(namespace, key);
    return value === undefined ? coded('absent') : { code: kvCodes.ok, payload: value };
  }

  async #set(run: AskingRun, request: Uint8Array): Promise<HostAnswer> {
    const set = readKvSet(request);
    if (set === undefined) return coded('invalid');
    const stored = await this.#store.set(namespaceOf(run), writeOf(set, run));
    return coded(stored === 'stored' ? 'ok' : stored);
  }

  async #delete(namespace: KvNamespace, request: Uint8Array): Promise<HostAnswer> {
    const key = kvKeyOf(request);
    const wasThere = key !== undefined && (await this.#store.delete(namespace, key));
    return coded(wasThere ? 'ok' : 'absent');
  }

  async #compareAndSet(run: AskingRun, request: Uint8Array): Promise<HostAnswer> {
    const set = readKvCompareAndSet(request);
    if (set === undefined) return coded('invalid');
    const stored = await this.#store.compareAndSet(namespaceOf(run), set.expected, writeOf(set, run));
    return coded(stored === 'stored' ? 'ok' : stored);
  }

  async #list(namespace: KvNamespace, request: Uint8Array): Promise<HostAnswer> {
    const query = readKvList(request);
    const keys = query === undefined ? [] : await this.#store.list(namespace, query);
    return { code: kvCodes.ok, payload: boundedList(keys) };
  }
}

function namespaceOf({ grant }: AskingRun): KvNamespace {
  return { tenant: grant.tenant, plugin: grant.plugin };
}

function writeOf({ key, value, ttlMs }: KvSetRequest, { grant }: AskingRun): KvWrite {
  return { key, value, ttlMs, quota: grant.kv };
}

function coded(code: keyof typeof kvCodes): HostAnswer {
  return { code: kvCodes[code], payload: nothing };
}

/** A JSON array of as many of the keys, from the first on, as the bound has room for. */
function boundedList(keys: readonly string[]): Uint8Array {
  const kept: string[] = [];
  let bytes = '[]'.length;
  for (const key of keys) {
    const text = JSON.stringify(key);
    bytes += Buffer.byteLength(text) + (kept.length === 0 ? 0 : 1);
    if (bytes > kvListBytesMax) break;
    kept.push(text);
  }
  return encoder.encode(`[${kept.join(',')}]`);
}
