/** How a city bundle gets to a gateway: through its API, or as a file that is dropped where it looks. */
import { setTimeout as wait } from 'node:timers/promises';
import { decodeChallenge, encodeMessage } from '../../edge/wire/vc/check.ts';
import { writeDurably } from '../durable.ts';
import { didOf, makeSigner, newSecretKey } from '../signer.ts';
import { GateRefusal, Line } from './line.ts';
import type { Gate } from './vehicle.ts';

export type Deliver = (bundle: Uint8Array) => Promise<string | undefined>;

const REQUEST_MS = 30_000;
/** A gateway looks at the file once a second. */
const FILE_MS = 15_000;
const POLL_MS = 300;
const REFUSED_MS = 3000;

/** @param token of an operator */
export function deliverByApi(url: string, token: string): Deliver {
  return async (bundle) => {
    const answer = await fetch(`${url.replace(/\/+$/, '')}/checks/bundle`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: Buffer.from(bundle),
      redirect: 'error',
      signal: AbortSignal.timeout(REQUEST_MS),
    });
    if (answer.ok) return undefined;
    const { code } = (await answer.json().catch(() => ({}))) as { code?: unknown };
    return typeof code === 'string' ? code : `HTTP ${answer.status}`;
  };
}

/** Nobody answers a file: what came of it is seen in the next challenge, which names the version that is held. */
export function deliverByFile(file: string, gate: Gate): Deliver {
  let newest: Uint8Array | undefined;
  return async (bundle) => {
    const version = versionOf(bundle);
    writeDurably(file, bundle, 0o644);
    if (newest && version < versionOf(newest)) {
      await wait(REFUSED_MS);
      const held = await heldVersion(gate);
      writeDurably(file, newest, 0o644);
      return held === version ? undefined : 'BUNDLE_ROLLBACK';
    }
    newest = bundle;
    for (const late = Date.now() + FILE_MS; Date.now() < late; await wait(POLL_MS))
      if ((await heldVersion(gate)) === version) return undefined;
    return `not taken within ${FILE_MS / 1000} s`;
  };
}

const versionOf = (bundle: Uint8Array): number =>
  (JSON.parse(Buffer.from(bundle).toString('utf8')) as { version: number }).version;

/** By a hello under a key that nobody has seen; undefined where the gateway gives no challenge. */
async function heldVersion({ url, origin, gate, purpose }: Gate): Promise<number | undefined> {
  const key = { keyType: 'Ed25519' as const, secretKey: newSecretKey('Ed25519') };
  const line = await Line.open(url, origin, { did: didOf(key), sign: makeSigner(key) });
  try {
    await line.send('hello', encodeMessage({ gate, purpose }));
    return decodeChallenge(await line.next('challenge')).bundleVersion;
  } catch (error) {
    if (error instanceof GateRefusal) return undefined;
    throw error;
  } finally {
    await line.close();
  }
}
