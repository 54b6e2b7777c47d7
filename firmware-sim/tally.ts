/** Counts of a run. */
export class Tally {
  sent = 0;
  acked = 0;
  resent = 0;
  receipts = 0;
  /** Samples that were not taken because the buffer was full, or the disk was. */
  missed = 0;
  /** By code, as the gateway says it on down/{did}/error. */
  readonly refused = new Map<string, number>();

  /** @param payload JSON {code, detail, cti} */
  refuse(payload: Uint8Array): void {
    let code = 'UNREADABLE';
    try {
      const said: unknown = (JSON.parse(Buffer.from(payload).toString('utf8')) as { code?: unknown }).code;
      // What names a code is short; this map must not grow with what a gateway makes up.
      if (typeof said === 'string' && /^[A-Z_]{1,40}$/.test(said) && (this.refused.size < 64 || this.refused.has(said)))
        code = said;
    } catch {
      // counted as unreadable
    }
    this.refused.set(code, (this.refused.get(code) ?? 0) + 1);
  }
}

/** The refusals of several tallies together. */
export function addRefused(...tallies: readonly Tally[]): Record<string, number> {
  const sum: Record<string, number> = {};
  for (const tally of tallies) for (const [code, n] of tally.refused) sum[code] = (sum[code] ?? 0) + n;
  return sum;
}
