/**
 * How many calls may wait, and of whom. A tenant may have four times as many
 * waiting as there are places left: alone it fills four fifths of the line, beside
 * others less, and there is always a place for whoever has none. (Dynamic
 * thresholds: Choudhury and Hahne, "Dynamic Queue Length Thresholds for
 * Shared-Memory Packet Switches", 1998.)
 */

const shareOfFree = 4;

export interface LineState {
  readonly waiting: number;
  readonly waitingMax: number;
  /** Of the tenant that comes. */
  readonly waitingOfTenant: number;
}

export function mayWait({ waiting, waitingMax, waitingOfTenant }: LineState): boolean {
  const free = waitingMax - waiting;
  return free > 0 && waitingOfTenant < shareOfFree * free;
}

/** Threads that one tenant may have at once: a quarter stays for others, where there are enough. */
export function threadsOfTenantMax(threadsMax: number): number {
  return threadsMax < 4 ? threadsMax : threadsMax - Math.floor(threadsMax / 4);
}
