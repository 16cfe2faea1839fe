/** Values of messages as people read them: sizes, durations, times, names of enums. Pure. */

import type { Duration, Timestamp } from '@bufbuild/protobuf/wkt';
import { Stage } from '../gen/caisson/v1/execution_pb.ts';
import { PluginHealthState, PluginState } from '../gen/caisson/v1/plugin_pb.ts';

/** "753 B", "24.4 KB" would be ambiguous: multiples of 1,024 with their own names. */
export function sizeText(bytes: bigint | number): string {
  let value = Number(bytes);
  if (value < 1_024) return `${value} B`;
  for (const unit of ['KiB', 'MiB']) {
    value /= 1_024;
    if (value < 1_024) return `${value.toFixed(1)} ${unit}`;
  }
  return `${(value / 1_024).toFixed(1)} GiB`;
}

/** An absent duration is none at all. */
export function durationText(duration: Duration | undefined): string {
  if (duration === undefined) return '0 ms';
  const ms = Number(duration.seconds) * 1_000 + duration.nanos / 1_000_000;
  if (ms >= 60_000) return `${Math.floor(ms / 60_000)} min ${((ms % 60_000) / 1_000).toFixed(0)} s`;
  return ms >= 1_000 ? `${(ms / 1_000).toFixed(2)} s` : `${ms.toFixed(ms < 10 ? 2 : 0)} ms`;
}

/** ISO 8601 in UTC, to the millisecond. */
export function timeText(time: Timestamp | undefined): string {
  if (time === undefined) return '';
  const date = new Date(Number(time.seconds) * 1_000 + time.nanos / 1_000_000);
  return Number.isNaN(date.getTime()) ? 'unknown' : date.toISOString();
}

export function stageText(stage: Stage): string {
  return nameIn(Stage, stage);
}

export function stateText(state: PluginState): string {
  return nameIn(PluginState, state).toLowerCase();
}

export function healthText(state: PluginHealthState): string {
  return nameIn(PluginHealthState, state).toLowerCase();
}

/** The name of a value of an enum; the number itself if it is of a newer server. */
export function nameIn(names: Readonly<Record<string, number | string>>, value: number): string {
  return Object.entries(names).find(([, known]) => known === value)?.[0] ?? String(value);
}
