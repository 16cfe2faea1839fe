import { Metadata } from '@grpc/grpc-js';
import { describe, expect, test } from 'vitest';
import { timeOrderedId } from '../../../src/base/identifier.ts';
import { Routes } from '../../../src/cluster/routes.ts';
import { sessionOwner } from '../../../src/cluster/session-owner.ts';
import type { PluginVersion } from '../../../src/model/plugin.ts';
import type { RpcPeer } from '../../../src/rpc/peer.ts';
import { checkedManifest } from '../plugins/fixtures.ts';

const processes = 3;
const peers = Array.from({ length: processes }, (_, number) => ({ number }) as unknown as RpcPeer);

const known: Readonly<Record<string, PluginVersion>> = {
  plain: { manifest: checkedManifest({ name: 'plain' }) } as PluginVersion,
  talk: { manifest: checkedManifest({ name: 'talk', instance: { mode: 'session' } }) } as PluginVersion,
};

function routesOf(number: number): Routes {
  return new Routes({
    number,
    processes,
    resolve: (reference) => {
      const version = known[reference.split('@')[0] ?? ''];
      if (!version) throw new Error('unknown');
      return version;
    },
    peer: (other) => peers[other] as RpcPeer,
  });
}

function metadataOf(tenant?: string): Metadata {
  const metadata = new Metadata();
  if (tenant !== undefined) metadata.set('caisson-tenant', tenant);
  return metadata;
}

describe('Routes', () => {
  test('keep what can run anywhere in each process', () => {
    for (let number = 0; number < processes; number++) {
      const routes = routesOf(number);
      expect(routes.ofRun({ plugin: 'plain', sessionId: '' }, metadataOf())).toBeUndefined();
      expect(routes.ofRun({ plugin: 'plain', sessionId: 's' }, metadataOf())).toBeUndefined();
      expect(routes.ofRun({ plugin: 'talk', sessionId: '' }, metadataOf())).toBeUndefined();
    }
  });

  test('lead what a follower does not know to the leader, and not away from it', () => {
    const request = { plugin: 'nowhere', sessionId: '' };
    expect(routesOf(1).ofRun(request, metadataOf())).toBe(peers[0]);
    expect(routesOf(0).ofRun(request, metadataOf())).toBeUndefined();
    expect(routesOf(0).ofRun({ ...request, sessionId: 's' }, metadataOf())).toBeUndefined();
  });

  test('lead a session to one process from all, whatever the reference', () => {
    for (let index = 0; index < 20; index++) {
      const sessionId = `s${index}`;
      const owner = sessionOwner({ tenant: 'acme', plugin: 'talk', sessionId }, processes);
      for (let number = 0; number < processes; number++) {
        const expected = number === owner ? undefined : peers[owner];
        for (const plugin of ['talk', 'talk@1.0.0']) {
          expect(routesOf(number).ofRun({ plugin, sessionId }, metadataOf('acme'))).toBe(expected);
        }
      }
    }
  });

  test('leave a tenant that cannot be to whoever reads the request', () => {
    expect(routesOf(1).ofRun({ plugin: 'talk', sessionId: 's' }, metadataOf('No Tenant'))).toBeUndefined();
  });

  test('lead to the process that an execution carries, and no further than there are processes', () => {
    expect(routesOf(0).ofExecution(timeOrderedId(1, 2))).toBe(peers[2]);
    expect(routesOf(2).ofExecution(timeOrderedId(1, 2))).toBeUndefined();
    expect(routesOf(0).ofExecution(timeOrderedId(1, 3))).toBeUndefined();
    expect(routesOf(0).ofExecution('no id')).toBeUndefined();
  });

  test('know all other processes', () => {
    expect(routesOf(1).others()).toEqual([peers[0], peers[2]]);
  });
});
