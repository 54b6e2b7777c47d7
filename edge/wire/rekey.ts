/**
 * What a device says with its old key when it gets a new one: 64 bytes of signature, in the form that its envelopes have,
 * over these bytes of UTF-8. Pure.
 *
 *   sejong-edge/rekey@1 LF old DID LF new DID LF
 */
import { decodeDid } from './did.ts';
import { VERIFIERS } from './keys.ts';

export const rekeyMessage = (oldDid: string, newDid: string): Uint8Array =>
  new TextEncoder().encode(`sejong-edge/rekey@1\n${oldDid}\n${newDid}\n`);

/** Why the proof is none, or undefined. @throws EdgeError DID_INVALID */
export function rekeyFlaw(oldDid: string, newDid: string, proof: Uint8Array): string | undefined {
  const { type, bytes } = decodeDid(oldDid);
  const { signatureFlaw, verify } = VERIFIERS[type];
  if (proof.length !== 64) return `a signature has 64 bytes, not ${proof.length}`;
  return (
    signatureFlaw(proof) ?? (verify(proof, rekeyMessage(oldDid, newDid), bytes) ? undefined : 'it does not verify')
  );
}
