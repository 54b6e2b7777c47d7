/** How much a plant can give in a time: its rated power, and 5 % for what a rating leaves out. Exact, in whole numbers. */

/**
 * The most whole Wh that `capacityW` gives in so many seconds, times 1.05. The time is that between the two readings, by
 * their own clock; in a day profile the hour.
 */
export const mostWh = (capacityW: number, seconds: number): number =>
  Number((BigInt(capacityW) * BigInt(seconds) * 105n) / 360_000n);
