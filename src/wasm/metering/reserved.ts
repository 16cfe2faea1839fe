/** Names under which a metered module and its host find each other. Guests can use none of them. */

import { reservedPrefix } from '../policy.ts';

/** Module of the one function that a metered module imports: refuel, from (i64) to i64. */
export const meterModule = `${reservedPrefix}meter`;
export const refuelName = 'refuel';
/** The exported counter, a mutable i64: what is left of the fuel that the host granted. */
export const fuelGlobal = `${reservedPrefix}fuel`;
/** An exported mutable i32: 1 once a memory or table of the guest could not grow. */
export const growFailedGlobal = `${reservedPrefix}grow_failed`;
