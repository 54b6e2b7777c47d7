/**
 * What an auditor does with a checkpoint, with nothing of the gateway but its key: who signed it, who saw it, and that the
 * chain holds it. With tiles to read from it is more: whatever the contract holds is the beginning of it, so that the log
 * only ever grew.
 */
import { AnchorReader } from './chain/anchor-reader.ts';
import { EdgeError } from './errors.ts';
import { type Checkpoint, openCheckpoint, parseVerifierKey } from './log/checkpoint.ts';
import { consistencyPath, verifyConsistency } from './log/merkle.ts';
import { type TileSource, withTiles } from './log/tile-source.ts';
import { type ChainPlace, checkAnchor, checkCosignatures, type PlannedStep, type Quorum } from './verify.ts';
import { equalBytes } from './wire/bytes.ts';

export type LogOptions = { witnesses?: Quorum | undefined; tiles?: TileSource | undefined };

/**
 * @param note a checkpoint
 * @param also `tiles` of the log, which are not believed: without them the chain must hold this very checkpoint
 */
export function logSteps(
  note: string,
  verifierKey: string,
  chain: ChainPlace | undefined,
  { witnesses, tiles }: LogOptions = {},
): PlannedStep[] {
  let checkpoint!: Checkpoint;
  let head!: { size: number; root: Uint8Array };
  const steps: PlannedStep[] = [
    {
      name: 'checkpoint signature',
      run: (show) => {
        show('verifier key', verifierKey.trim());
        show('note', note);
        const key = parseVerifierKey(verifierKey);
        checkpoint = openCheckpoint(note, key);
        if (checkpoint.origin !== key.name)
          throw new EdgeError('RECEIPT_INVALID', `the checkpoint is of ${checkpoint.origin}`);
        return `by ${checkpoint.origin}, ${checkpoint.size} entries`;
      },
    },
  ];
  if (witnesses)
    steps.push({
      name: 'witness cosignatures',
      run: (show) => {
        show('note', note);
        return checkCosignatures(note, witnesses);
      },
    });
  if (chain && !tiles)
    steps.push({ name: 'anchored root', run: (show) => checkAnchor(chain, checkpoint, undefined, show) });
  if (chain && tiles)
    steps.push(
      {
        name: 'head on the chain',
        run: async (show) => {
          const anchors = new AnchorReader(chain.rpc, chain.contract);
          try {
            const chainId = await anchors.open();
            show('question', `eth_call ${chain.contract} ${anchors.headCall(checkpoint.origin)}`);
            head = await anchors.head(checkpoint.origin);
            show('answer', head.root);
            const where = `${chain.contract} on chain ${chainId}`;
            if (head.size > checkpoint.size)
              throw new EdgeError(
                'RECEIPT_INVALID',
                `${where} holds ${head.size} entries, more than the ${checkpoint.size} of the checkpoint: fetch it again; if it stays so, an older log was put back`,
              );
            return head.size === 0
              ? `${where} holds nothing of it yet`
              : `${where} holds a root of ${head.size} entries`;
          } catch (error) {
            throw anchors.node.errorOf(error);
          }
        },
      },
      {
        name: 'it only grew',
        run: async (show) => {
          const { size, root } = head;
          if (size === 0) return 'nothing is anchored yet, so there is nothing to compare';
          show('root', root);
          show('root', checkpoint.root);
          const path = await withTiles(checkpoint.size, tiles, (node) => consistencyPath(size, checkpoint.size, node));
          for (const hash of path) show('path', hash);
          const grew =
            size === checkpoint.size
              ? equalBytes(root, checkpoint.root)
              : verifyConsistency(size, checkpoint.size, root, checkpoint.root, path);
          if (!grew)
            throw new EdgeError(
              'RECEIPT_INVALID',
              `the ${size} entries on the chain are not the beginning of the ${checkpoint.size} of the checkpoint, or the tiles are not of this log`,
            );
          return `the ${size} entries on the chain are the first of the ${checkpoint.size} of the checkpoint`;
        },
      },
    );
  return steps;
}
