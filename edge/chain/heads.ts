/**
 * Heads that the anchoring account signs for the contract (EIP-712), beside the notes that the log's key signs: two
 * that contradict each other can be shown to Anchors.freeze.
 */
import { bytesToHex, encodeFunctionData, type Hex, isHex, recoverTypedDataAddress } from 'viem';
import type { PrivateKeyAccount } from 'viem/accounts';
import { EdgeError } from '../errors.ts';
import { anchorsAbi, originId } from './contract.ts';

/** `contract` on `chainId` is whom it is signed for; the signature is r, s and v, 65 bytes in hex. */
export type SignedHead = {
  origin: string;
  chainId: number;
  contract: string;
  size: number;
  root: Uint8Array;
  signature: string;
};

type Unsigned = Omit<SignedHead, 'signature'>;

const typedData = ({ origin, chainId, contract, size, root }: Unsigned) =>
  ({
    domain: { name: 'Sejong Edge Anchors', version: '1', chainId, verifyingContract: contract as Hex },
    types: {
      Head: [
        { name: 'origin', type: 'bytes32' },
        { name: 'size', type: 'uint64' },
        { name: 'root', type: 'bytes32' },
      ],
    },
    primaryType: 'Head',
    message: { origin: originId(origin), size: BigInt(size), root: bytesToHex(root) },
  }) as const;

export const signHead = (account: PrivateKeyAccount, head: Unsigned): Promise<Hex> =>
  account.signTypedData(typedData(head));

/** Who signed it: an address, which is somebody else's where anything of the head was changed. @throws EdgeError FRAUD_INVALID */
export async function headSigner(head: SignedHead): Promise<Hex> {
  const { signature } = head;
  if (!isHex(signature) || signature.length !== 132 || signature !== signature.toLowerCase())
    throw new EdgeError('FRAUD_INVALID', 'a signature is not 65 bytes in lower-case hex');
  try {
    return await recoverTypedDataAddress({ ...typedData(head), signature });
  } catch (error) {
    throw new EdgeError('FRAUD_INVALID', `a signature of ${head.size} entries is none`, { cause: error });
  }
}

/** The call of Anchors.freeze by two heads of one size. */
export const freezeData = (a: SignedHead, b: SignedHead): Hex =>
  encodeFunctionData({
    abi: anchorsAbi,
    functionName: 'freeze',
    args: [originId(a.origin), BigInt(a.size), bytesToHex(a.root), a.signature, bytesToHex(b.root), b.signature],
  });
