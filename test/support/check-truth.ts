/** What is true of every check that is kept: the log holds its salted digest and nothing else, and the decision is signed. */
import { createHash } from 'node:crypto';
import { base58 } from '@scure/base';
import type Database from 'better-sqlite3';
import canonicalize from 'canonicalize';
import { expect } from 'vitest';
import { publicKeyFromDid } from '../../edge/wire/did.ts';
import { verifyEd25519 } from '../../edge/wire/ed25519.ts';

const sha256 = (...parts: (Uint8Array | string)[]): Buffer => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
};

type Records = readonly { n: string; vd?: Uint8Array }[];

/** The digest in an entry of the gateway's own that is about a check. */
export function checkOf(records: Records): Buffer | undefined {
  if (records[0]?.n !== 'check') return undefined;
  expect(records.map((r) => Object.keys(r).sort().join())).toEqual(['n,vd']);
  expect(records[0].vd?.length).toBe(32);
  return Buffer.from(records[0].vd as Uint8Array);
}

type Row = {
  idx: number;
  decision: string;
  reason: string;
  digest: Buffer;
  session: string | null;
  nonce: Buffer | null;
  holder: string | null;
  salt: Buffer | null;
  content: Buffer | null;
};

/** eddsa-jcs-2022, section 3.3.2, with nothing of the gateway's. */
function isSigned(document: Record<string, unknown>, did: string): boolean {
  const { proof, ...unsecured } = document as { proof: Record<string, string> };
  const { proofValue, ...options } = proof;
  expect(options).toMatchObject({ cryptosuite: 'eddsa-jcs-2022', proofPurpose: 'assertionMethod' });
  expect(options.verificationMethod).toBe(`${did}#${did.slice('did:key:'.length)}`);
  const signed = Buffer.concat([sha256(canonicalize(options) as string), sha256(canonicalize(unsecured) as string)]);
  const signature = base58.decode((proofValue as string).slice(1));
  return verifyEd25519(signature, new Uint8Array(signed), publicKeyFromDid(did).bytes);
}

/**
 * @param logged digest of each check in the log, by the index of its entry
 * @param carried an earlier log was lost: of the checks that came from there only the entries are left
 */
export function checkChecks(
  db: Database.Database,
  logged: ReadonlyMap<number, Buffer>,
  gateway: string,
  carried: boolean,
): void {
  const rows = db
    .prepare<[], Row>(
      'SELECT idx, decision, reason, digest, session, nonce, holder, salt, content FROM checks ORDER BY idx',
    )
    .all();
  const kept = new Set(rows.map((row) => row.idx));
  for (const idx of logged.keys())
    if (!carried && (rows.length === 0 || idx > (rows[0]?.idx as number)))
      expect(kept.has(idx), `the check of entry ${idx} is kept`).toBe(true);
  const nonces = new Set<string>();
  for (const row of rows) {
    expect(logged.get(row.idx)?.toString('hex'), `entry ${row.idx}`).toBe(row.digest.toString('hex'));
    expect(row.salt === null, 'salt and content go together').toBe(row.content === null);
    if (row.nonce) {
      expect(nonces.has(row.nonce.toString('hex')), `the nonce of ${row.idx} was used before`).toBe(false);
      nonces.add(row.nonce.toString('hex'));
    }
    if (!row.salt || !row.content) continue;
    expect(sha256(row.salt, row.content).toString('hex'), `salt and content of ${row.idx}`).toBe(
      row.digest.toString('hex'),
    );
    const { decision } = JSON.parse(row.content.toString());
    expect(decision).toMatchObject({
      type: 'SejongDecision',
      from: gateway,
      to: row.holder,
      session: row.session,
      decision: row.decision,
      reason: row.reason,
    });
    if (row.nonce) expect(decision.nonces.gateway).toBe(row.nonce.toString('base64url'));
    expect(isSigned(decision, gateway), `the decision of ${row.idx}`).toBe(true);
  }
}
