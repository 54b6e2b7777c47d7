/**
 * The receipt as calldata: a call of Anchors.verifyEntry, which the contract answers with the root that it holds, or
 * reverts. `to` and `data` are what `cast call` takes; the checkpoint is there for who has no chain at hand.
 */
import { bytesToHex, decodeFunctionData, encodeFunctionData, getAddress, type Hex, hexToBytes } from 'viem';
import { EdgeError } from '../errors.ts';
import type { Receipt } from '../log/receipt.ts';
import { verifierAbi } from './anchors-abi.ts';
import { commitment } from './commitment.ts';

export const CALL_FORMAT = 'sejong-edge/calldata@1';

/** JSON of these, with these names. */
export type EntryCall = { format: typeof CALL_FORMAT; chainId: number; to: string; data: string; checkpoint: string };

/** @param size entries under the root that the contract holds; `receipt.path` leads there */
export const encodeEntryCall = (
  origin: string,
  size: number,
  receipt: Receipt & { anchor: { chainId: number; contract: string } },
): EntryCall => ({
  format: CALL_FORMAT,
  chainId: receipt.anchor.chainId,
  to: getAddress(receipt.anchor.contract),
  data: encodeCall(commitment(origin) as Hex, BigInt(size), BigInt(receipt.index), receipt.entry, receipt.path),
  checkpoint: receipt.checkpoint,
});

const encodeCall = (origin: Hex, size: bigint, index: bigint, entry: Uint8Array, path: readonly Uint8Array[]): Hex =>
  encodeFunctionData({
    abi: verifierAbi,
    functionName: 'verifyEntry',
    args: [origin, size, index, bytesToHex(entry), path.map((h) => bytesToHex(h))],
  });

const refuse = (why: string): never => {
  throw new EdgeError('RECEIPT_INVALID', `calldata: ${why}`);
};

/**
 * Reads JSON of an {@link EntryCall}; as the contract does, in the one spelling that it has.
 * @returns the size that the call names, too: the checkpoint must be of it
 * @throws EdgeError RECEIPT_INVALID
 */
export function parseEntryCall(value: Record<string, unknown>): {
  call: EntryCall;
  originId: Hex;
  size: number;
  receipt: Receipt;
} {
  const call = value as EntryCall;
  const { format, chainId, to, data, checkpoint } = call;
  if (format !== CALL_FORMAT || Object.keys(value).length !== 5) return refuse(`it is not ${CALL_FORMAT}`);
  if (!Number.isSafeInteger(chainId) || typeof checkpoint !== 'string')
    return refuse('chainId or checkpoint is missing');
  if (typeof to !== 'string' || !isAddress(to)) return refuse('to is not an address with its checksum (EIP-55)');
  if (typeof data !== 'string' || !/^0x[0-9a-f]*$/.test(data)) return refuse('data is not lower-case hex');
  const decoded = decode(data as Hex);
  if (decoded?.functionName !== 'verifyEntry') return refuse('data is no call of verifyEntry');
  const [origin, size, index, entry, path] = decoded.args;
  if (
    encodeCall(
      origin,
      size,
      index,
      hexToBytes(entry),
      path.map((h) => hexToBytes(h)),
    ) !== data
  )
    return refuse('data is not the encoding of its arguments');
  if (size > Number.MAX_SAFE_INTEGER || index > Number.MAX_SAFE_INTEGER) return refuse('a size or an index above 2^53');
  const receipt = {
    index: Number(index),
    entry: hexToBytes(entry),
    path: path.map((h) => hexToBytes(h)),
    checkpoint,
  };
  return { call, originId: origin, size: Number(size), receipt };
}

function decode(data: Hex) {
  try {
    return decodeFunctionData({ abi: verifierAbi, data });
  } catch {
    return undefined;
  }
}

function isAddress(text: string): boolean {
  try {
    return getAddress(text) === text;
  } catch {
    return false;
  }
}
