/** From rows of transactions to what the API says of anchors. */
import type { AnchorHint } from '../log/receipt.ts';
import type { TxRow } from './transactions.ts';

export const describeAnchor = (t: TxRow) => ({
  id: t.id,
  size: t.size,
  root: Buffer.from(t.root).toString('base64'),
  chainId: t.chainId,
  contract: t.contract,
  transaction: t.hashes.at(-1) as string,
  signature: t.signature,
  status: t.status,
  block: t.block,
  gasUsed: t.gasUsed,
  madeMs: t.madeMs,
  minedMs: t.minedMs,
});

export const anchorHint = (t: TxRow): { size: number; hint: AnchorHint } => ({
  size: t.size,
  hint: { chainId: t.chainId, contract: t.contract, transaction: t.hashes.at(-1) as string, block: t.block ?? 0 },
});
