/** Anchors, put together: the follower knows chain and log, the config knows which; and what the API says of them. */
import type { ApiParts } from './api/parts.ts';
import type { Anchorer } from './chain/anchorer.ts';
import { anchorHint, describeAnchor } from './chain/describe.ts';
import type { encodeEntryCall } from './chain/entry-call.ts';
import type { ChainPlace } from './chain/place.ts';
import type { Config } from './config.ts';
import type { Epoch } from './epoch/epoch.ts';
import type { Checkpointer } from './log/checkpointer.ts';

/** Empty where there is no chain. */
export type Anchoring = { anchorer?: Anchorer; rpc?: string; encodeEntryCall?: typeof encodeEntryCall };

/** @param firstWordMs how long a start waits for the chain before it goes on without */
export async function startAnchoring(parts: {
  config: Config['chain'];
  epoch: Epoch;
  place: ChainPlace;
  checkpointer: Checkpointer;
  firstWordMs: number;
  report: (line: string) => void;
  onAnchored: () => void;
  /** The follower runs from now on, whatever comes of the first look. */
  onBegun: (anchorer: Anchorer) => void;
}): Promise<Anchoring> {
  const { config: c, epoch, place, checkpointer, report, onAnchored } = parts;
  if (c.mode === 'none') return {};
  // Loaded only where there is a chain: viem takes 18 MB.
  const { Anchorer } = await import('./chain/anchorer.ts');
  const { encodeEntryCall } = await import('./chain/entry-call.ts');
  const { isPublic } = await import('./chain/rpc.ts');
  const found = await place.find();
  const anchorer = new Anchorer(epoch.log, epoch.store, {
    ...found,
    everySeconds: c.everySeconds,
    pollSeconds: c.pollSeconds,
    confirmations: c.confirmations,
    stuckSeconds: c.stuckSeconds,
    maxFeeGwei: c.maxFeeGwei,
    allowSigning: (held) => checkpointer.hold('chain', held),
    onBehind: (error, head) => epoch.leaveBehind(error, head),
    report,
    onAnchored,
  });
  parts.onBegun(anchorer);
  await anchorer.start(parts.firstWordMs);
  // Shown and written down: not where the URL has a key in it.
  return { anchorer, encodeEntryCall, ...(isPublic(found.rpc) ? { rpc: found.rpc } : {}) };
}

export function anchorParts(
  { anchorer, rpc, encodeEntryCall }: Anchoring,
  origin: string,
): Pick<ApiParts, 'anchors' | 'entryCall' | 'anchorCovering' | 'anchorsPlace'> {
  return {
    anchorsPlace: () =>
      anchorer ? { chainId: anchorer.state.chainId, contract: anchorer.state.contract, rpc: rpc ?? null } : null,
    anchors: (limit, before) => (anchorer?.transactions.list(limit, before) ?? []).map(describeAnchor),
    // Asked only of what has an anchor, so there is a chain.
    entryCall: (size, receipt) => encodeEntryCall!(origin, size, receipt),
    anchorCovering: (index) => {
      const t = anchorer?.transactions.covering(index);
      return t && anchorHint(t);
    },
  };
}
