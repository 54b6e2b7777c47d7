/** How much a plant can give in a time: its rated power, and 5 % for what a rating leaves out. Exact, in whole numbers. */

/**
 * The most whole Wh that `capacityW` gives in so many seconds, times 1.05. The time is that between the two full hours, as
 * the contract counts it: the 5 % has room for the 120 s that readings near them may be farther apart.
 */
export const mostWh = (capacityW: number, seconds: number): number =>
  Number((BigInt(capacityW) * BigInt(seconds) * 105n) / 360_000n);
