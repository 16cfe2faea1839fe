/** When bytes are given away to the other thread, and when cloned. */

/** Bytes below which cloning a buffer takes less time than giving it away. */
export const transferBytesMin = 16_384;
