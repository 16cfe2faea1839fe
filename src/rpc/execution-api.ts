/** What the services need of execution/. Types only. */

import type { Executions } from '../execution/executions.ts';

/** The executions as far as rpc/ calls them. */
export type ExecutionApi = Pick<Executions, 'start' | 'attach' | 'cancel' | 'get' | 'list'>;
