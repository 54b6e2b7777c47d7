/** How the Devices contract knows a device and its metering point (contracts/src/IDevices.sol). Pure, without viem. */
import { keccak_256 } from '@noble/hashes/sha3.js';

export const SALT_BYTES = 32;

/**
 * keccak256(salt || text), or keccak256(text) of a public kind.
 * @param text a DID, or the URN of a metering point
 * @returns 0x and 64 hex digits
 */
export const commitment = (text: string, salt?: Uint8Array): string => {
  const hash = keccak_256.create();
  if (salt) hash.update(salt);
  return `0x${Buffer.from(hash.update(Buffer.from(text)).digest()).toString('hex')}`;
};
