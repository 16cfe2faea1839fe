/** What a thread lends to each of its calls. Types only. */

import type { Clock } from '../../base/clock.ts';
import type { EventSink } from '../../capabilities/call-context.ts';
import type { ControlBlock } from '../control-block.ts';
import type { HostCaller } from './host-caller.ts';
import type { Running } from './running.ts';

export interface CallServices {
  readonly control: ControlBlock;
  readonly events: EventSink;
  readonly clock: Clock;
  readonly running: Running;
  readonly host: HostCaller;
}
