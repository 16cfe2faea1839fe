/** A response that another process has encoded already and that is sent on as it is. */

export class RawMessage {
  readonly bytes: Buffer;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }
}
