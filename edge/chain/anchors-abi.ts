/**
 * What an auditor asks of an Anchors contract (contracts/src/IAnchors.sol), written down here so that no file need be
 * read for it: the verifier runs in a browser too. A test holds it against the artifact.
 */
import { parseAbi } from 'viem';

export const verifierAbi = parseAbi([
  'function head(bytes32 origin) view returns (uint64 size, bytes32 root, uint64 time)',
  'function rootAt(bytes32 origin, uint64 size) view returns (bytes32)',
  'function verifyEntry(bytes32 origin, uint64 size, uint64 index, bytes entry, bytes32[] path) view returns (bytes32)',
  'error NotCanonical()',
  'error NotAnchored(bytes32 origin, uint64 size)',
  'error EntryBeyondTree(uint64 index, uint64 size)',
  'error NotIncluded(uint64 index, uint64 size, bytes32 proven)',
  'error ProofLength(uint256 given, uint256 wanted)',
]);
