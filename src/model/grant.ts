/**
 * What one run may do: the manifest's wishes as far as the operator's policy
 * allows them for the tenant and the plugin. Plain data that can be posted to a
 * thread. Types only; policy/ computes it.
 */

import type { CapabilityName } from './capability.ts';

/** Hosts that http may reach, each a pattern as docs/capabilities.md describes it. */
export interface HttpGrant {
  /** The manifest's allowed_hosts: host names or patterns of them. A request must match one. */
  readonly askedHosts: readonly string[];
  /** The policy's targets: scheme, host, port, method patterns. A request must match one as well. */
  readonly targets: readonly HttpTarget[];
  readonly requestBytesMax: number;
  readonly responseBytesMax: number;
  readonly timeoutMsMax: number;
  /** Requests under way at once, of one tenant. */
  readonly connectionsMax: number;
  /** Requests that one run may make. */
  readonly requestsMax: number;
  /** Requests a second, of one tenant. */
  readonly requestsPerSecond: number;
  readonly redirectsMax: number;
}

export interface HttpTarget {
  /** "https", "http" or "*" for both. */
  readonly scheme: 'https' | 'http' | '*';
  /** A host name, "*." and a host name, an IP address, or "*". */
  readonly host: string;
  /** Port number, or undefined for the scheme's own. */
  readonly port: number | undefined;
  /** Upper case; undefined for all. */
  readonly methods: readonly string[] | undefined;
  /** Whether addresses that are not public may be reached under this host. Never true for a pattern. */
  readonly isPrivateAllowed: boolean;
  /** Name of the policy's rule, for messages. */
  readonly rule: string;
}

export interface KvGrant {
  /** Of all keys and values of the tenant's and plugin's namespace together. */
  readonly bytesMax: number;
  readonly keysMax: number;
}

export interface WasiGrant {
  /** Bytes of all files together. */
  readonly fileBytesMax: number;
  /** Descriptors open at once, the three standard ones and preopened directories not counted. */
  readonly descriptorsMax: number;
  /** Files and directories together. */
  readonly inodesMax: number;
  /** Read-only folders. */
  readonly mounts: readonly Mount[];
}

export interface Mount {
  /** Absolute path as the guest sees it. */
  readonly guestPath: string;
  /** The policy's name of the folder; its place in the host's file system never reaches a guest's thread. */
  readonly name: string;
}

export interface InvokeGrant {
  /** Plugin names or patterns with a trailing "*" that may be called: asked for and allowed. */
  readonly plugins: readonly string[];
  /** Calls nested in calls; a call from outside has depth 0. */
  readonly depthMax: number;
}

export interface Grant {
  readonly tenant: string;
  /** Plugin name: with the tenant the namespace of what is stored. */
  readonly plugin: string;
  readonly capabilities: readonly CapabilityName[];
  readonly http: HttpGrant;
  readonly kv: KvGrant;
  readonly wasi: WasiGrant;
  readonly invoke: InvokeGrant;
  /** Names of secrets that may be read. */
  readonly secrets: readonly string[];
}

/** Why a capability or a part of one was not granted. */
export interface GrantRefusal {
  readonly capability: CapabilityName;
  /** What was asked for, such as "http" or "secret \"API_KEY\"". */
  readonly asked: string;
  /** Who refuses: the manifest or the policy. */
  readonly by: 'manifest' | 'policy';
  /** Rules of the policy that match tenant and plugin, none of which allows it. */
  readonly rules: readonly string[];
  /** The line to add, and to which file. */
  readonly line: string;
}
