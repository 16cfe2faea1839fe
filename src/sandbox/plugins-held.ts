/** How many plugins' modules a thread holds. The main side decides which; both sides know the number. */
export const pluginsHeldMax = 32;
