import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import { secretNameBytesMax, secretValueBytesMax } from '../../../../src/capabilities/secret-bounds.ts';
import { type SecretSource, SecretService } from '../../../../src/capabilities/services/secrets.ts';
import { AbortReason } from '../../../../src/model/abort-reason.ts';
import { ExecError } from '../../../../src/model/exec-error.ts';
import { answerCodes } from '../../../../src/model/operation.ts';
import { askingRun } from './asking-run.ts';

const value = 'hunter22';

function setUp(source: SecretSource = () => Promise.resolve(Buffer.from(value))) {
  const asked: string[] = [];
  const service = new SecretService(
    (grant, name) => {
      asked.push(`${grant.tenant}/${grant.plugin}/${name}`);
      return source(grant, name);
    },
    () => ['some rule'],
  );
  const get = (name: string | Uint8Array, run = askingRun({ granted: { secrets: ['API_KEY'] } })) =>
    service.answer('secrets.get', Buffer.from(name), run);
  return { asked, service, get };
}

describe('The service of secrets', () => {
  test('gives the value of a name that is granted, asking for tenant and plugin', async () => {
    const { asked, get } = setUp();
    const { code, payload } = await get('API_KEY');
    expect([code, Buffer.from(payload).toString()]).toEqual([0, value]);
    expect(asked).toEqual(['default/fake/API_KEY']);
  });

  test('gives a copy', async () => {
    const kept = Buffer.from(value);
    const { get } = setUp(() => Promise.resolve(kept));
    (await get('API_KEY')).payload.fill(0);
    expect(kept.toString()).toBe(value);
  });

  test('answers 1 where the operator has set none', async () => {
    expect(await setUp(() => Promise.resolve(undefined)).get('API_KEY')).toEqual({
      code: 1,
      payload: new Uint8Array(),
    });
  });

  test('denies every other name, with rule and line, and asks its source for none', async () => {
    const { asked, get } = setUp();
    const { code, payload } = await get('OTHER');
    expect(code).toBe(answerCodes.denied);
    const text = Buffer.from(payload).toString();
    for (const part of ['Capability "secrets"', 'secret "OTHER"', '"some rule"', '"OTHER" in "secrets"']) {
      expect(text).toContain(part);
    }
    const run = askingRun({ granted: { secrets: ['', 'API_KEY', 'n'.repeat(secretNameBytesMax + 1)] } });
    for (const name of ['api_key', 'API_KEY\0', 'API_', Uint8Array.of(0xff), 'n'.repeat(secretNameBytesMax + 1)]) {
      expect((await get(name, run)).code).toBe(answerCodes.denied);
    }
    expect(asked).toEqual([]);
  });

  test('takes a name as long as the bound', async () => {
    const name = 'n'.repeat(secretNameBytesMax);
    expect((await setUp().get(name, askingRun({ granted: { secrets: [name] } }))).code).toBe(0);
  });

  test('gives a value as long as the bound, and fails for a longer one', async () => {
    const ofLength = (length: number) => setUp(() => Promise.resolve(new Uint8Array(length))).get('API_KEY');
    expect((await ofLength(secretValueBytesMax)).payload).toHaveLength(secretValueBytesMax);
    await expect(ofLength(secretValueBytesMax + 1)).rejects.toMatchObject({
      reason: 'INTERNAL',
      message: 'The secret "API_KEY" cannot be read',
      cause: { message: 'it has 65537 bytes, more than the 65536 that a secret may have' },
    });
  });

  test.each([
    [Object.assign(new Error(`bad line: ${value}`), { code: 'ENOENT' }), 'its source failed with ENOENT'],
    [Object.assign(new Error(`bad line: ${value}`), { code: value }), 'its source failed'],
    [new Error(`bad line: ${value}`), 'its source failed'],
    [value, 'its source failed'],
  ])('says of a source that fails nothing that could hold a value, case %#', async (thrown, cause) => {
    const { get } = setUp(() => Promise.reject(thrown as Error));
    const failure = await get('API_KEY').catch((error: unknown) => error);
    expect(failure).toMatchObject({ reason: 'INTERNAL', cause: { message: cause } });
    expect(inspect(failure, { depth: 10 })).not.toContain(value);
  });

  test('lets through what a source says for others to read', async () => {
    const error = new ExecError('STORAGE_FAILED', 'The vault does not answer');
    await expect(setUp(() => Promise.reject(error)).get('API_KEY')).rejects.toBe(error);
  });

  test('rejects with the reason of a run that is stopped while its source is slow', async () => {
    const reason = new AbortReason('TIMEOUT');
    const controller = new AbortController();
    const run = askingRun({ granted: { secrets: ['API_KEY'] }, signal: controller.signal });
    const waiting = setUp(() => new Promise(() => {})).get('API_KEY', run);
    controller.abort(reason);
    await expect(waiting).rejects.toBe(reason);
  });

  test('answers no operation of another capability', async () => {
    const { service } = setUp();
    await expect(service.answer('kv.get', Buffer.from('x'), askingRun())).rejects.toThrow('no operation of secrets');
  });
});
