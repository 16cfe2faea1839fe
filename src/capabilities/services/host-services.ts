/** All host calls that the main thread answers, each handed to its capability's service. */

import type { CapabilityName } from '../../model/capability.ts';
import { answerCodes, type HostAnswer, type OperationName, operations } from '../../model/operation.ts';
import type { AskingRun, HostService } from './service.ts';

export type ServiceTable = Readonly<Partial<Record<CapabilityName, HostService>>>;

export class HostServices implements HostService {
  readonly #services: ServiceTable;

  constructor(services: ServiceTable) {
    this.#services = services;
  }

  /** What was not granted is denied here once more, whoever asks. */
  async answer(operation: OperationName, request: Uint8Array, run: AskingRun): Promise<HostAnswer> {
    const { capability } = operations[operation];
    if (!run.grant.capabilities.includes(capability)) {
      return { code: answerCodes.denied, payload: Buffer.from(`The capability "${capability}" is not granted`) };
    }
    const service = this.#services[capability];
    if (service === undefined) throw new Error(`Nobody serves the capability "${capability}"`);
    return await service.answer(operation, request, run);
  }
}
