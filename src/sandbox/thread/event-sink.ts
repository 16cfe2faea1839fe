/** Events on their way to the main thread, with the number that it has not taken yet in view. */

import type { EventSink } from '../../capabilities/call-context.ts';
import type { GuestEvent, GuestNote } from '../../model/execution.ts';
import type { ControlBlock } from '../control-block.ts';

/** Events that may be on their way before those that can be merged are. */
export const untakenMax = 256;

export function eventSink(control: ControlBlock, post: (event: GuestEvent | GuestNote) => void): EventSink {
  let sent = 0;
  return {
    get crowded() {
      return control.untaken(sent) >= untakenMax;
    },
    send(event) {
      post(event);
      sent = (sent + 1) | 0;
    },
  };
}
