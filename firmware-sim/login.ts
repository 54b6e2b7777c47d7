/** How a device logs in (DESIGN section 5): a JWT (RFC 7519) that it signs itself, with EdDSA (RFC 8037) or ES256. */
import { utf8Bytes } from '../edge/wire/bytes.ts';
import { keyTypeOf } from '../edge/wire/did.ts';
import { VERIFIERS } from '../edge/wire/keys.ts';

const LIFE_SECONDS = 300;

const base64url = (bytes: Uint8Array | string): string => Buffer.from(bytes as string).toString('base64url');

/** A fresh one for each connection, so that one which leaks is worth five minutes. @param origin the gateway's */
export function loginToken(did: string, origin: string, sign: (message: Uint8Array) => Uint8Array): string {
  const iat = Math.floor(Date.now() / 1000);
  const header = base64url(JSON.stringify({ alg: VERIFIERS[keyTypeOf(did)].jwsAlgs[0], typ: 'JWT' }));
  const claims = base64url(JSON.stringify({ sub: did, aud: origin, iat, exp: iat + LIFE_SECONDS }));
  const message = `${header}.${claims}`;
  return `${message}.${base64url(sign(utf8Bytes(message)))}`;
}
