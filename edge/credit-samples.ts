/** What /metrics shows of certificates and credits. */
import type { Sample } from './api/parts.ts';
import type { CreditRows } from './store/credits.ts';

/** `pending`: transactions on their way. `lag`: entries that were not read for certificates yet. */
export function creditSamples(
  counts: ReturnType<CreditRows['counts']>,
  { pending, lag }: { pending: number; lag: number },
): Sample[] {
  const gauge = (name: string, help: string, value: number, labels: Record<string, string> = {}): Sample => ({
    name: `sejong_edge_${name}`,
    help,
    type: 'gauge',
    value,
    labels,
  });
  const { ready, refused, minted, withdrawn, mintedWh, claimedWh, residualWh } = counts;
  return [
    ...Object.entries({ ready, refused, minted, withdrawn }).map(([state, n]) =>
      gauge('certificates', 'Certificates by what became of them.', n, { state }),
    ),
    gauge('credits_minted_wh', 'Wh that were minted and stand.', mintedWh),
    gauge('credits_residual_wh', 'Wh that were minted as residuals.', residualWh),
    gauge('credits_claimed_wh', 'Wh that were claimed.', claimedWh),
    gauge('credits_pending', 'Transactions of the credits account that are on their way.', pending),
    gauge('credits_lag_entries', 'Entries that were not read for certificates yet.', lag),
  ];
}
