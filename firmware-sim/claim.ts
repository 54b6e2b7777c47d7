/** A device that enrols itself with a one-time code (edge/wire/claim.ts), and waits until an operator has confirmed it. */
import { setTimeout as wait } from 'node:timers/promises';
import { utf8Bytes } from '../edge/wire/bytes.ts';
import { type ClaimCode, claimKey, claimNonce, fingerprint } from '../edge/wire/claim.ts';
import { VERIFIERS } from '../edge/wire/keys.ts';
import type { GatewayApi } from './gateway-api.ts';
import type { Identity } from './identity.ts';
import { makeSigner } from './signer.ts';

const LIFE_SECONDS = 300;
const POLL_MS = 1000;

const base64url = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');

export function claimProof({ id, secret }: ClaimCode, identity: Identity, origin: string): string {
  const { did, keyType } = identity;
  const iat = Math.floor(Date.now() / 1000);
  const claims = {
    sub: did,
    aud: origin,
    iat,
    exp: iat + LIFE_SECONDS,
    jti: id,
    nonce: claimNonce(claimKey(secret), id, did, origin),
  };
  const message = `${base64url({ alg: VERIFIERS[keyType].jwsAlgs[0], typ: 'JWT' })}.${base64url(claims)}`;
  return `${message}.${Buffer.from(makeSigner(identity)(utf8Bytes(message))).toString('base64url')}`;
}

/** @throws Error where the gateway refuses it, or expects a device that measures something else */
export async function claim(
  api: GatewayApi,
  code: ClaimCode,
  identity: Identity,
  stop: AbortSignal,
  report: (line: string) => void,
): Promise<void> {
  const origin = await api.origin();
  const mark = fingerprint(claimKey(code.secret), identity.did);
  for (let said = false; ; said = true) {
    const { status, kind, sub } = await api.claim(code.id, identity.did, claimProof(code, identity, origin));
    if (kind !== identity.kind || sub !== identity.sub)
      throw new Error(`claim ${code.id} is for a ${kind} of ${sub}, this is a ${identity.kind} of ${identity.sub}`);
    if (status === 'confirmed') return;
    if (!said)
      report(
        `claimed ${code.id} as ${identity.did}; fingerprint ${mark}: confirm it with sejong-edge claim confirm ${code.id}`,
      );
    await wait(POLL_MS, undefined, { signal: stop });
  }
}
