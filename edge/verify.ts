/**
 * What an auditor does with a receipt, step by step, with nothing of the gateway but its key. The steps stand on
 * their own code paths: Ed25519 by @noble/ed25519, not by the OpenSSL that accepted the reading.
 */
import type { Hex } from 'viem';
import { AnchorsContract } from './chain/contract.ts';
import { chainError, rpcClient } from './chain/rpc.ts';
import { EdgeError } from './errors.ts';
import { type Checkpoint, openCheckpoint, parseVerifierKey } from './log/checkpoint.ts';
import { leafHash, verifyInclusion } from './log/merkle.ts';
import { parseReceipt, type Receipt } from './log/receipt.ts';
import { equalBytes } from './wire/bytes.ts';
import { publicKeyFromDid } from './wire/did.ts';
import { verifyEd25519 } from './wire/ed25519.ts';
import { decodeEnvelope, type Envelope } from './wire/envelope.ts';

export type Step = { ok: boolean; name: string; detail: string };

const RPC_TIMEOUT_MS = 15_000;

/** @returns the name of the first step that failed, or undefined when all hold */
export async function verifyReceipt(
  text: string,
  verifierKey: string,
  chain: { rpc: string; contract: string } | undefined,
  say: (step: Step) => void,
): Promise<string | undefined> {
  let receipt!: Receipt;
  let envelope!: Envelope;
  let checkpoint!: Checkpoint;
  const steps: [string, () => string | Promise<string>][] = [
    [
      'receipt format',
      () => {
        receipt = parseReceipt(text);
        return `entry ${receipt.index}, ${receipt.entry.length} bytes, a path of ${receipt.path.length} hashes`;
      },
    ],
    [
      'canonical bytes',
      () => {
        envelope = decodeEnvelope(receipt.entry);
        const first = envelope.records[0];
        const value = first?.v ?? first?.vs ?? first?.vb ?? '(bytes)';
        return `${envelope.sub}: ${first?.n} = ${value}${first?.u ? ` ${first.u}` : ''}, ${new Date(envelope.iat * 1000).toISOString()}, counter ${envelope.epoch}/${envelope.seq}`;
      },
    ],
    [
      'device signature',
      () => {
        if (!verifyEd25519(envelope.signature, envelope.signed, publicKeyFromDid(envelope.iss)))
          throw new EdgeError('SIGNATURE_INVALID', `not by ${envelope.iss}`);
        return `by ${envelope.iss}`;
      },
    ],
    [
      'checkpoint signature',
      () => {
        checkpoint = openCheckpoint(receipt.checkpoint, parseVerifierKey(verifierKey));
        if (checkpoint.origin !== parseVerifierKey(verifierKey).name)
          throw new EdgeError('RECEIPT_INVALID', `the checkpoint is of ${checkpoint.origin}`);
        return `by ${checkpoint.origin}, ${checkpoint.size} entries`;
      },
    ],
    [
      'inclusion',
      () => {
        if (!verifyInclusion(leafHash(receipt.entry), receipt.index, checkpoint.size, receipt.path, checkpoint.root))
          throw new EdgeError(
            'RECEIPT_INVALID',
            `the path does not lead from entry ${receipt.index} to the root of ${checkpoint.size} entries`,
          );
        return `entry ${receipt.index} is in the tree of ${checkpoint.size} entries`;
      },
    ],
  ];
  if (chain) steps.push(['anchored root', () => checkAnchor(chain, checkpoint)]);
  for (const [name, step] of steps)
    try {
      say({ ok: true, name, detail: await step() });
    } catch (error) {
      const detail =
        error instanceof EdgeError
          ? `${error.code}: ${error.detail}`
          : ((error as Error).message.split('\n')[0] as string);
      say({ ok: false, name, detail });
      return name;
    }
  return undefined;
}

/** @throws EdgeError CHAIN_WRONG, CHAIN_AWAY, RECEIPT_INVALID */
export async function checkAnchor(
  { rpc, contract }: { rpc: string; contract: string },
  { origin, size, root }: Checkpoint,
): Promise<string> {
  const client = rpcClient(rpc, RPC_TIMEOUT_MS);
  const anchors = new AnchorsContract(client, contract as Hex);
  try {
    const chainId = await client.getChainId();
    const where = `${contract} on chain ${chainId}`;
    if (!(await anchors.isDeployed()))
      throw new EdgeError('CHAIN_WRONG', `there is no contract at ${contract} on chain ${chainId}`);
    const held = await anchors.rootAt(origin, size);
    if (!held)
      throw new EdgeError(
        'RECEIPT_INVALID',
        `${where} holds no root of ${size} entries for ${origin}; fetch the receipt again after the next anchor`,
      );
    if (!equalBytes(held, root))
      throw new EdgeError('RECEIPT_INVALID', `${where} holds another root for ${size} entries`);
    return `${where} holds this root for ${size} entries`;
  } catch (error) {
    throw chainError(error, client);
  }
}
