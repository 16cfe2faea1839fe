/** PluginService on top of the registry. Owns no state. */

import type { MessageInitShape } from '@bufbuild/protobuf';
import { linkSignals } from '../base/signals.ts';
import type {
  PluginService,
  PluginVersionSchema,
  WatchPluginsRequest,
  WatchPluginsResponseSchema,
} from '../gen/caisson/v1/plugin_pb.ts';
import { type PluginVersion, referenceOf } from '../model/plugin.ts';
import {
  changeMessage,
  listedVersionBytes,
  pluginQueryOf,
  referenceOfRequest,
  reportMessage,
  versionMessage,
  versionOfRequest,
  warmingOf,
  watchQueryOf,
} from './convert-plugin.ts';
import { fittingItems, pageToken } from './pages.ts';
import type { PluginApi, WarmingApi } from './plugin-api.ts';
import type { CallContext, ServiceImplementation } from './service-types.ts';
import { tenantOf } from './tenants.ts';
import { openUpload } from './upload-stream.ts';

/** The implementation, to be bound to PluginService. */
export function pluginServiceOf(plugins: PluginApi, warming: WarmingApi): ServiceImplementation<typeof PluginService> {
  const whole = (version: PluginVersion): { plugin: MessageInitShape<typeof PluginVersionSchema> } => ({
    plugin: versionMessage(version, plugins.health(version), { withManifest: true }),
  });
  return {
    async publishPlugin(requests, context) {
      const tenant = tenantOf(context.metadata);
      const { header, chunks } = await openUpload(requests);
      const { version, created, report } = await plugins.publish(header, chunks, context.signal, tenant);
      return { ...whole(version), created, report: reportMessage(report) };
    },

    async validatePlugin(requests, context) {
      const tenant = tenantOf(context.metadata);
      const { header, chunks } = await openUpload(requests);
      return { report: reportMessage(await plugins.validate(header, chunks, context.signal, tenant)) };
    },

    getPlugin: (request) => whole(plugins.get(referenceOfRequest(request))),

    listPlugins(request) {
      const { key, ...query } = pluginQueryOf(request);
      const page = plugins.list(query);
      const fitting = fittingItems(page.versions, listedVersionBytes);
      const last = fitting.at(-1);
      const next = last && fitting.length < page.versions.length ? referenceOf(last) : page.next;
      return {
        plugins: fitting.map((version) => versionMessage(version, plugins.health(version), { withManifest: false })),
        nextPageToken: next === undefined ? '' : pageToken(key, next),
      };
    },

    startPlugin: async (request) => whole(await plugins.start(versionOfRequest(request))),

    stopPlugin: async (request) => whole(await plugins.stop(versionOfRequest(request))),

    retirePlugin: async (request) => whole(await plugins.retire(versionOfRequest(request))),

    async warmPlugin(request, context) {
      const { plugin, threads } = warmingOf(request);
      const version = await plugins.start(plugin);
      return { ...whole(version), ...(await warming.warm(version, threads, context.signal)) };
    },

    async deletePlugin(request, { metadata }) {
      const options = { tenant: tenantOf(metadata), keepStorage: request.keepStorage };
      const { keys, bytes } = await plugins.delete(versionOfRequest(request), options);
      return { storageKeysDeleted: BigInt(keys), storageBytesDeleted: BigInt(bytes) };
    },

    watchPlugins: (request, context) => watch(plugins, request, context),
  };
}

/** Never ends by itself; the shutdown ends it. */
async function* watch(
  plugins: PluginApi,
  request: WatchPluginsRequest,
  context: CallContext,
): AsyncGenerator<MessageInitShape<typeof WatchPluginsResponseSchema>> {
  using link = linkSignals(context.signal, context.draining);
  for await (const change of plugins.watch(watchQueryOf(request), link.signal)) yield changeMessage(change);
  link.signal.throwIfAborted();
}
