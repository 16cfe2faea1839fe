/** Grants for tests. */

import { capabilityNames } from '../../src/model/capability.ts';
import type { Grant } from '../../src/model/grant.ts';

/** Every capability, with room to spare; http, secrets, mounts and invoke reach nothing. */
export const ampleGrant: Grant = {
  tenant: 'default',
  plugin: 'plugin',
  capabilities: capabilityNames,
  http: {
    askedHosts: [],
    targets: [],
    requestBytesMax: 1_048_576,
    responseBytesMax: 1_048_576,
    timeoutMsMax: 10_000,
    connectionsMax: 10,
    requestsMax: 100,
    requestsPerSecond: 1_000,
    redirectsMax: 5,
  },
  kv: { bytesMax: 1_048_576, keysMax: 1_000 },
  wasi: { fileBytesMax: 1_048_576, descriptorsMax: 10, inodesMax: 100, mounts: [] },
  invoke: { plugins: [], depthMax: 4 },
  secrets: [],
};
