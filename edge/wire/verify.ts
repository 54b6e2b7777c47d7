/** The signature of an envelope, or of a hash envelope, checked by anyone who has it and nothing else. */
import { publicKeyFromDid } from './did.ts';
import type { Envelope } from './envelope.ts';
import { checkAlg, signatureInvalid, VERIFIERS } from './keys.ts';

/** @throws EdgeError DID_INVALID, ALG_MISMATCH or SIGNATURE_INVALID, unless the key that `iss` names signed it */
export function verifyEnvelope({
  iss,
  alg,
  signature,
  signed,
}: Pick<Envelope, 'iss' | 'alg' | 'signature' | 'signed'>): void {
  const { type, bytes } = publicKeyFromDid(iss);
  const verifier = VERIFIERS[type];
  checkAlg(verifier, alg);
  if (!verifier.verify(signature, signed, bytes)) throw signatureInvalid(iss, verifier.signatureFlaw(signature));
}
