/**
 * The one helper that every test of the path ends with: re-reads a data folder that nothing has open any more, and
 * checks everything that the gateway promised, with code of its own where the gateway has an opinion.
 */
import { createHash, createPublicKey, type KeyObject, verify } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { encode, rfc8949EncodeOptions } from 'cborg';
import { type Abi, type Hex, keccak256, type PublicClient, recoverTypedDataAddress, toHex } from 'viem';
import { expect } from 'vitest';
import type { AnchorsContract } from '../../edge/chain/contract.ts';
import { openCheckpoint, parseVerifierKey } from '../../edge/log/checkpoint.ts';
import { publicKeyFromDid } from '../../edge/wire/did.ts';
import { signatureFlaw, verifyEd25519 } from '../../edge/wire/ed25519.ts';
import { decodeEnvelope, type Envelope } from '../../edge/wire/envelope.ts';
import { verifyP256 } from '../../edge/wire/p256.ts';
import { checkChecks, checkOf } from './check-truth.ts';
import { type CreditTruth, checkCredits } from './credit-truth.ts';
import { SealedTruth, saltedHash } from './sealed-truth.ts';

const sha256 = (...parts: Uint8Array[]): Buffer => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
};
const LEAF = Buffer.from([0]);
const NODE = Buffer.from([1]);

export const leafOf = (entry: Uint8Array): Buffer => sha256(LEAF, entry);

/** Roots of all prefixes of the leaves, the plain way: a stack of complete subtrees (RFC 6962 section 2.1). */
export class PlainTree {
  readonly #stack: { height: number; hash: Buffer }[] = [];
  size = 0;

  add(entry: Uint8Array): void {
    this.addLeaf(leafOf(entry));
  }

  addLeaf(hash: Buffer): void {
    let node = { height: 0, hash };
    while (this.#stack.at(-1)?.height === node.height) {
      const left = this.#stack.pop() as typeof node;
      node = { height: node.height + 1, hash: sha256(NODE, left.hash, node.hash) };
    }
    this.#stack.push(node);
    this.size++;
  }

  root(): Buffer {
    return this.#stack.map(({ hash }) => hash).reduceRight((right, left) => sha256(NODE, left, right));
  }
}

/** What a COSE receipt's signature covers (RFC 9942 section 5.2.1, RFC 9052 section 4.4), by another encoder. */
function receiptMessage({ name, id }: { name: string; id: number }, size: number, root: Uint8Array): Uint8Array {
  const kid = Buffer.alloc(4);
  kid.writeUInt32BE(id);
  const header = new Map<number, unknown>([
    [1, -19],
    [4, Uint8Array.from(kid)],
    [15, new Map([[1, name]])],
    [395, 1],
    [-65537, size],
  ]);
  const cbor = (value: unknown): Uint8Array => encode(value, rfc8949EncodeOptions);
  return cbor(['Signature1', cbor(header), new Uint8Array(0), Uint8Array.from(root)]);
}

export type WholeTruth = {
  entries: number;
  /** SHA-256 in hex of each envelope in the log, as it was signed by whom it is of, to the index that it has. */
  byHash: Map<string, number>;
  /** Of them, those that stand in the log as a hash envelope. */
  sealed: number;
  /** Indexes of entries that are sealed, and of which nothing else is left. */
  forgotten: Set<number>;
  /** Leaf hash in hex of each entry whose payload was pruned, to its index. */
  pruned: Map<string, number>;
  /** What the gateway's own entries say of counters, in the order of the log. */
  gaps: GapTruth[];
  /** What the gateway's own entries say of operators, opened, in the order of the log. */
  audits: AuditTruth[];
  quarantined: Map<string, number>;
  /** Entries of devices that were over when they came. */
  late: number;
  /** Of certificates of energy, and of what the chain says of them. */
  credits: CreditTruth;
  /** Whether this envelope became an entry, whatever is left of it. */
  holds: (envelope: Uint8Array) => boolean;
};

export type AuditTruth = {
  index: number;
  atMs: number;
  by: { name: string; role: string; token: string };
  action: string;
  on: string;
  detail: Record<string, unknown>;
};

export type GapTruth = { did: string; epoch: number; first: number; last: number; reason: string; index: number };

/** A gap entry, read with nothing of the gateway's own: five records, hexadecimal counters, a count that fits. */
function gapOf(records: readonly { n: string; v?: number; vs?: string }[], index: number): GapTruth | undefined {
  if (records[0]?.n !== 'gap') return undefined;
  expect(records.map((r) => r.n)).toEqual(['gap', 'gap-first', 'gap-last', 'gap-count', 'gap-reason']);
  const [did, from, to, , reason] = records.map((r) => r.vs as string) as [string, string, string, string, string];
  for (const cti of [from, to]) expect(cti).toMatch(/^[0-9a-f]{16}$/);
  const [first, last] = [from, to].map((cti) => Number(`0x${cti.slice(8)}`)) as [number, number];
  expect(to.slice(0, 8)).toBe(from.slice(0, 8));
  expect(records[3]?.v).toBe(last - first + 1);
  expect(['lost', 'thinned']).toContain(reason);
  return { did, epoch: Number(`0x${from.slice(0, 8)}`), first, last, reason, index };
}

/** The leaf hash that a level-0 tile holds; a pruned entry's only trace. */
function leafFromTile(db: Database.Database, idx: number): Buffer {
  const hashes = db
    .prepare('SELECT hashes FROM tiles WHERE key = ?')
    .pluck()
    .get(Math.floor(idx / 256)) as Uint8Array;
  return Buffer.from(hashes.subarray((idx % 256) * 32, (idx % 256) * 32 + 32));
}

type EntryRow = { idx: number; device: number; epoch: number; seq: number; envelope: Uint8Array };

const N_OF_P256 = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;

const SPKI: Record<string, string> = {
  Ed25519: '302a300506032b6570032100',
  // A compressed point: 33 bytes.
  'P-256': '3039301306072a8648ce3d020106082a8648ce3d030107032200',
};
const issuerKeys = new Map<string, { type: string; bytes: Uint8Array; object: KeyObject }>();
function issuerKey(did: string) {
  let key = issuerKeys.get(did);
  if (!key) {
    const { type, bytes } = publicKeyFromDid(did);
    const der = Buffer.concat([Buffer.from(SPKI[type] as string, 'hex'), bytes]);
    key = { type, bytes, object: createPublicKey({ key: der, format: 'der', type: 'spki' }) };
    issuerKeys.set(did, key);
  }
  return key;
}

/**
 * By the type of the key in the DID alone; and an ECDSA signature that has a twin was to be refused. OpenSSL verifies each
 * one, as the gateway did; the noble libraries, which cost forty times as much, those that `twice` names.
 */
function isSignedByIssuer({ iss, alg, signature, signed }: Envelope, twice: boolean): boolean {
  const { type, bytes, object } = issuerKey(iss);
  if (type === 'Ed25519') {
    if (![-19, -8].includes(alg) || signatureFlaw(signature) || !verify(null, signed, object, signature)) return false;
    return !twice || verifyEd25519(signature, signed, bytes);
  }
  const s = BigInt(`0x${Buffer.from(signature.subarray(32)).toString('hex')}`);
  if (alg !== -9 || 2n * s >= N_OF_P256) return false;
  if (!verify('sha256', signed, { key: object, dsaEncoding: 'ieee-p1363' }, signature)) return false;
  return !twice || verifyP256(signature, signed, bytes);
}

/** An expectation that is met some thousand times costs as much as what it looks at. */
function must(is: boolean, what: () => string): void {
  if (!is) throw new Error(what());
}

/** Up to so many entries all are verified by both. */
const ALL_TWICE = 100;

/** @param verifyOneIn every signature is verified; beyond the first {@link ALL_TWICE} one in so many by the noble libraries, too */
export function wholeTruth(dataFolder: string, options: { verifyOneIn?: number } = {}): WholeTruth {
  const { verifyOneIn = 10 } = options;
  const db = new Database(join(dataFolder, 'edge.db'), { readonly: true });
  try {
    expect(db.pragma('integrity_check', { simple: true })).toBe('ok');
    const meta = new Map(
      db
        .prepare<[], { key: string; value: string }>('SELECT key, value FROM meta')
        .all()
        .map((r) => [r.key, r.value]),
    );
    const devices = new Map(
      db
        .prepare<[], { id: number; did: string; sub: string }>('SELECT id, did, sub FROM devices')
        .all()
        .map((r) => [r.id, r]),
    );
    const checkpoints = new Map(
      db
        .prepare<[], { size: number; root: Uint8Array; note: string; receipt: Uint8Array | null }>(
          'SELECT size, root, note, receipt FROM checkpoints',
        )
        .all()
        .map((r) => [r.size, r]),
    );
    const tree = new PlainTree();
    const byHash = new Map<string, number>();
    const counters = new Set<string>();
    const highest = new Map<number, [number, number]>();
    const counts = new Map<number, number>();
    const pruned = new Map<string, number>();
    const gone = new Set<string>();
    const gaps: GapTruth[] = [];
    const sealedTruth = new SealedTruth(db, meta.get('did') as string);
    const prunedContents = new Map<string, { salt: Uint8Array; digest: Buffer }>();
    const forgotten = new Set<number>();
    let sealed = 0;
    const checks = new Map<number, Buffer>();
    const audited = new Map<number, string>();
    const minimumIndex = Number(meta.get('minimum-index') ?? 0);
    let next = 0;
    let verifierKey: ReturnType<typeof parseVerifierKey> | undefined;
    for (const row of db
      .prepare<[], EntryRow>('SELECT idx, device, epoch, seq, envelope FROM entries ORDER BY idx')
      .iterate()) {
      must(row.idx === next++, () => `entry ${row.idx} stands at ${next - 1}`);
      const twice = row.idx < ALL_TWICE || row.idx % verifyOneIn === 0;
      const device = devices.get(row.device);
      const isPruned = row.envelope.length === 0;
      const leaf = isPruned ? leafFromTile(db, row.idx) : leafOf(row.envelope);
      const seal = sealedTruth.read(row.idx, row.envelope);
      if (seal.kind === 'pruned') prunedContents.set(`${device?.did}/${row.epoch}/${row.seq}`, seal);
      if (seal.kind === 'forgotten') forgotten.add(row.idx);
      if (seal.kind === 'held') sealed++;
      if (seal.kind === 'forgotten' && !isPruned) {
        expect(row.idx, 'the genesis entry is in the open').toBeGreaterThan(0);
      } else if (isPruned) {
        expect(row.idx, 'pruned at or above the minimum index').toBeLessThan(minimumIndex);
        expect(device?.did, "the gateway's own entries stay").not.toBe(meta.get('did'));
        pruned.set(leaf.toString('hex'), row.idx);
        gone.add(`${device?.did}/${row.epoch}/${row.seq}`);
      } else {
        const bytes = seal.kind === 'held' ? seal.envelope : new Uint8Array(row.envelope);
        const e = decodeEnvelope(bytes);
        must(
          e.iss === device?.did && e.sub === device.sub && e.epoch === row.epoch && e.seq === row.seq,
          () => `entry ${row.idx} is not what its row says: ${e.iss} ${e.sub} ${e.epoch}/${e.seq}`,
        );
        must(isSignedByIssuer(e, twice), () => `entry ${row.idx} is not signed by ${e.iss}`);
        const hash = sha256(bytes).toString('hex');
        must(!byHash.has(hash), () => `entry ${row.idx} is there twice`);
        byHash.set(hash, row.idx);
        const gap = e.iss === meta.get('did') ? gapOf(e.records, row.idx) : undefined;
        if (gap) gaps.push(gap);
        const check = e.iss === meta.get('did') ? checkOf(e.records) : undefined;
        if (check) checks.set(row.idx, check);
        if (e.iss === meta.get('did') && e.records[0]?.n === 'audit') {
          expect(e.records, 'nothing else is said in the open').toEqual([{ n: 'audit', vd: expect.any(Uint8Array) }]);
          audited.set(row.idx, Buffer.from(e.records[0].vd as Uint8Array).toString('hex'));
        }
        if (row.idx === 0) {
          expect(e.iss).toBe(meta.get('did'));
          expect(e.records).toContainEqual({ n: 'origin', vs: meta.get('origin') });
          const before = meta.get('previous');
          if (before !== undefined) {
            const { origin, size, root, reason } = JSON.parse(before);
            expect(e.records).toContainEqual({ n: 'previous-origin', vs: origin });
            if (size !== undefined) expect(e.records).toContainEqual({ n: 'previous-size', v: size });
            expect(e.records).toContainEqual({ n: 'previous-root', vs: root ?? 'unknown' });
            expect(e.records).toContainEqual({ n: 'reason', vs: reason });
          }
          verifierKey = parseVerifierKey(e.records.find((r) => r.n === 'log-key')?.vs as string);
        }
      }
      const counter = `${row.device}/${row.epoch}/${row.seq}`;
      must(!counters.has(counter), () => `counter ${counter} is there twice`);
      counters.add(counter);
      const top = highest.get(row.device) ?? [-1, -1];
      if (row.epoch > top[0] || (row.epoch === top[0] && row.seq > top[1]))
        highest.set(row.device, [row.epoch, row.seq]);
      counts.set(row.device, (counts.get(row.device) ?? 0) + 1);
      tree.addLeaf(leaf);
      const checkpoint = checkpoints.get(tree.size);
      if (checkpoint) {
        const opened = openCheckpoint(checkpoint.note, verifierKey as NonNullable<typeof verifierKey>);
        expect(opened).toMatchObject({ origin: meta.get('origin'), size: tree.size });
        expect(Buffer.from(opened.root).toString('hex')).toBe(tree.root().toString('hex'));
        expect(Buffer.from(checkpoint.root).equals(tree.root())).toBe(true);
        const key = verifierKey as NonNullable<typeof verifierKey>;
        // Checkpoints of a folder that is older than COSE receipts have none.
        if (checkpoint.receipt && (twice || checkpoints.size === 1))
          expect(
            verifyEd25519(
              Uint8Array.from(checkpoint.receipt),
              receiptMessage(key, tree.size, checkpoint.root),
              key.publicKey,
            ),
            `the receipts' signature of ${tree.size}`,
          ).toBe(true);
        checkpoints.delete(tree.size);
      }
    }
    expect([...checkpoints.keys()], 'checkpoints beyond the log').toEqual([]);
    checkCosignatures(db);
    checkChecks(db, checks, meta.get('did') as string, meta.has('previous'));
    const audits = checkAudit(db, audited, meta.has('previous'));
    for (const row of db
      .prepare<[], { device: number; epoch: number; seq: number; entries: number }>('SELECT * FROM counters')
      .all()) {
      const here = highest.get(row.device) ?? [-1, -1];
      // In a later epoch a counter may come from the log before, and its entries are there.
      if (meta.has('previous'))
        expect(row.epoch > here[0] || (row.epoch === here[0] && row.seq >= here[1]), 'a counter went back').toBe(true);
      else expect([row.epoch, row.seq]).toEqual(here);
      expect(row.entries).toBe(counts.get(row.device) ?? 0);
    }
    checkGaps(db, devices, counters, gone, gaps, forgotten);
    const quarantined = new Map<string, number>();
    for (const { code, n } of db
      .prepare<[], { code: string; n: number }>('SELECT code, count(*) AS n FROM quarantine GROUP BY code')
      .all())
      quarantined.set(code, n);
    const late = checkLate(db, sealedTruth);
    checkSuccessions(db, meta.get('did') as string);
    const credits = checkCredits(db, meta.has('previous'));
    const holds = (envelope: Uint8Array): boolean => {
      if (byHash.has(sha256(envelope).toString('hex')) || pruned.has(leafOf(envelope).toString('hex'))) return true;
      const { iss, epoch, seq } = decodeEnvelope(envelope);
      const left = prunedContents.get(`${iss}/${epoch}/${seq}`);
      return left !== undefined && saltedHash(left.salt, envelope).equals(left.digest);
    };
    return { entries: next, byHash, sealed, forgotten, pruned, gaps, audits, quarantined, late, credits, holds };
  } finally {
    db.close();
  }
}

/** What was taken of a device that was over was signed before, and came when a higher counter was there already. */
function checkLate(db: Database.Database, sealedTruth: SealedTruth): number {
  const rows = db
    .prepare<[], { idx: number; by: string; since: number; status: string; device: number; envelope: Uint8Array }>(
      `SELECT late_entries.idx, by, since_ms AS since, late_entries.status, device, envelope
       FROM late_entries LEFT JOIN entries USING (idx)`,
    )
    .all();
  for (const { idx, by, since, status, device, envelope } of rows) {
    expect(['gateway', 'registry']).toContain(by);
    expect(['revoked', 'replaced', 'expired']).toContain(status);
    const seal = sealedTruth.read(idx, envelope);
    if (envelope.length === 0 || seal.kind === 'forgotten') continue;
    const { iat, epoch, seq } = decodeEnvelope(seal.kind === 'held' ? seal.envelope : new Uint8Array(envelope));
    expect(iat * 1000, `entry ${idx} is late, so it was signed before`).toBeLessThan(since);
    const above = db
      .prepare('SELECT 1 FROM entries WHERE device = ? AND idx < ? AND (epoch, seq) > (?, ?)')
      .get(device, idx, epoch, seq);
    expect(above, `entry ${idx} is late, so it was expected`).toBeDefined();
  }
  return rows.length;
}

/** Each entry about an operator has its salt and content beside the log, which say who did what, and nobody else has. */
function checkAudit(db: Database.Database, audited: ReadonlyMap<number, string>, wasLost: boolean): AuditTruth[] {
  const rows = db
    .prepare<[], { idx: number; digest: Uint8Array; salt: Uint8Array; content: Uint8Array }>(
      'SELECT idx, digest, salt, content FROM audit WHERE idx >= 0 ORDER BY idx',
    )
    .all();
  const isForgotten = ({ salt }: { salt: Uint8Array }): boolean => salt.every((byte) => byte === 0);
  for (const { idx, digest, salt, content } of rows) {
    expect(salt.length).toBe(32);
    if (isForgotten({ salt })) {
      expect(
        content.every((byte) => byte === 0),
        `what was forgotten of entry ${idx}`,
      ).toBe(true);
      continue;
    }
    expect(Buffer.from(digest).equals(sha256(salt, content)), `what is said of entry ${idx}`).toBe(true);
  }
  const opened = rows.map(({ idx, digest }) => [idx, Buffer.from(digest).toString('hex')]);
  // What opens those of an earlier log may be gone with its database.
  expect(opened).toEqual([...audited].filter(([idx]) => !wasLost || rows.some((row) => row.idx === idx)));
  return rows
    .filter((row) => !isForgotten(row))
    .map(({ idx, content }) => {
      const said = JSON.parse(Buffer.from(content).toString('utf8')) as Omit<AuditTruth, 'index'>;
      expect(said.by.name && said.by.role && said.by.token && said.action).toBeTruthy();
      return { ...said, index: idx };
    });
}

/** Who took over is the heir of a device that is replaced, of the same metering point, and the gateway says so. */
function checkSuccessions(db: Database.Database, gateway: string): void {
  for (const row of db
    .prepare<[], Record<string, unknown>>(
      `SELECT old.status, old.replaced_by AS replacedBy, old.sub, heir.did, heir.sub AS itsSub, speaker.did AS speaker
       FROM successions LEFT JOIN devices AS old ON old.id = successions.device
       LEFT JOIN devices AS heir ON heir.id = successions.heir LEFT JOIN entries USING (idx)
       LEFT JOIN devices AS speaker ON speaker.id = entries.device`,
    )
    .all())
    expect(row).toEqual({
      status: 'replaced',
      replacedBy: row.did,
      sub: row.sub,
      did: expect.stringMatching(/^did:key:z/),
      itsSub: row.sub,
      speaker: gateway,
    });
}

/** What gap entries say is so, and nothing else was thinned or is called lost. */
function checkGaps(
  db: Database.Database,
  devices: Map<number, { id: number; did: string }>,
  counters: Set<string>,
  gone: Set<string>,
  gaps: readonly GapTruth[],
  forgotten: ReadonlySet<number>,
): void {
  const ids = new Map([...devices.values()].map(({ id, did }) => [did, id]));
  const lost = new Map<number, GapTruth[]>();
  for (const gap of gaps) {
    const { did, epoch, first, last, reason, index } = gap;
    const id = ids.get(did) as number;
    if (reason === 'lost') lost.set(id, [...(lost.get(id) ?? []), gap]);
    else
      for (let seq = first; seq <= last; seq++)
        // What was carried over from the log before may be there.
        if (counters.has(`${id}/${epoch}/${seq}`))
          expect(gone.has(`${did}/${epoch}/${seq}`), `entry ${index}: ${did} ${epoch}/${seq} is thinned`).toBe(true);
  }
  for (const counter of counters) {
    const [id, epoch, seq] = counter.split('/').map(Number) as [number, number, number];
    for (const g of lost.get(id) ?? [])
      expect(g.epoch === epoch && g.first <= seq && seq <= g.last, `entry ${g.index}: ${counter} is lost`).toBe(false);
  }
  const rows = db
    .prepare<[], { device: number; epoch: number; first: number; last: number; reason: string; idx: number }>(
      'SELECT device, epoch, first, last, reason, idx FROM gaps ORDER BY idx',
    )
    .all()
    .filter(({ idx }) => !forgotten.has(idx));
  expect(rows.map(({ device, idx, ...r }) => ({ ...r, did: devices.get(device)?.did, index: idx }))).toEqual(gaps);
}

/** An Ed25519 key (RFC 8410) from the last 32 bytes of a verifier key. */
const keyOf = (verifierKey: string): KeyObject =>
  createPublicKey({
    key: Buffer.concat([
      Buffer.from('302a300506032b6570032100', 'hex'),
      Buffer.from(verifierKey.slice(-44), 'base64').subarray(1),
    ]),
    format: 'der',
    type: 'spki',
  });

/** A line of C2SP tlog-cosignature, taken apart by the words of the specification. @returns its time */
export function checkCosignature(line: string, body: string, verifierKey: string): number {
  const [name, hash] = verifierKey.split('+') as [string, string];
  const m = /^— (\S+) (\S+)\n$/u.exec(line);
  const bytes = Buffer.from(m?.[2] ?? '', 'base64');
  expect([m?.[1], bytes.length], line).toEqual([name, 4 + 8 + 64]);
  const raw = Buffer.from(verifierKey.slice(-44), 'base64');
  expect(raw[0], 'type of the key').toBe(4);
  const id = sha256(Buffer.from(`${name}\n`), raw)
    .subarray(0, 4)
    .toString('hex');
  expect([hash, bytes.subarray(0, 4).toString('hex')]).toEqual([id, id]);
  const time = bytes.readBigUInt64BE(4);
  const signed = Buffer.from(`cosignature/v1\ntime ${time}\n${body}`);
  expect(verify(null, signed, keyOf(verifierKey), bytes.subarray(12)), 'cosignature').toBe(true);
  return Number(time);
}

/** Cosignatures that were taken are over their checkpoints; what is held of other logs is what was cosigned. */
function checkCosignatures(db: Database.Database): void {
  for (const row of db
    .prepare<[], { note: string | null; witness: string; line: string; time: number }>(
      'SELECT note, witness, line, time FROM cosignatures LEFT JOIN checkpoints USING (size)',
    )
    .all()) {
    expect(row.note, 'a cosignature of no checkpoint').not.toBeNull();
    const body = (row.note as string).split('\n').slice(0, 3).join('\n');
    expect(checkCosignature(row.line, `${body}\n`, row.witness)).toBe(row.time);
  }
  for (const row of db
    .prepare<[], { origin: string; size: number; root: Uint8Array; note: string; cosignature: string; time: number }>(
      'SELECT origin, size, root, note, cosignature, time FROM witnessed',
    )
    .all()) {
    const stamp = Buffer.from(row.cosignature.split(' ')[2] ?? '', 'base64').readBigUInt64BE(4);
    expect(Number(stamp), 'the time that was said').toBe(row.time);
    expect(row.note.split('\n').slice(0, 3)).toEqual([
      row.origin,
      String(row.size),
      Buffer.from(row.root).toString('base64'),
    ]);
  }
}

/**
 * Every root that the contract holds for the anchors in the store is the root of the rebuilt tree, and every head that
 * was ever signed for it is one of that tree, too.
 */
export async function checkAnchors(dataFolder: string, contract: AnchorsContract): Promise<number> {
  const db = new Database(join(dataFolder, 'edge.db'), { readonly: true });
  try {
    const origin = db.prepare("SELECT value FROM meta WHERE key = 'origin'").pluck().get() as string;
    const sizes = new Set(
      db
        .prepare(
          "SELECT size FROM transactions WHERE origin IS NULL AND status IN ('mined', 'confirmed') ORDER BY size",
        )
        .pluck()
        .all() as number[],
    );
    const { size: headSize } = await contract.head(origin);
    if (headSize > 0) sizes.add(headSize);
    const heads = new Map(
      db
        .prepare<[string], { size: number; chainId: number; signature: Hex }>(
          'SELECT size, chain_id AS chainId, signature FROM transactions WHERE contract = ?',
        )
        .all(contract.address)
        .map((row) => [row.size, row]),
    );
    const tree = new PlainTree();
    let checked = 0;
    for (const { idx, envelope } of db
      .prepare<[], { idx: number; envelope: Uint8Array }>('SELECT idx, envelope FROM entries ORDER BY idx')
      .iterate()) {
      tree.addLeaf(envelope.length === 0 ? leafFromTile(db, idx) : leafOf(envelope));
      const head = heads.get(tree.size);
      if (head) {
        const signer = await recoverTypedDataAddress({
          domain: {
            name: 'Sejong Edge Anchors',
            version: '1',
            chainId: head.chainId,
            verifyingContract: contract.address,
          },
          types: {
            Head: [
              { name: 'origin', type: 'bytes32' },
              { name: 'size', type: 'uint64' },
              { name: 'root', type: 'bytes32' },
            ],
          },
          primaryType: 'Head',
          message: { origin: keccak256(toHex(origin)), size: BigInt(tree.size), root: toHex(tree.root()) },
          signature: head.signature,
        });
        expect(await contract.wasSender(origin, signer), `the signed head of ${tree.size}`).toBe(true);
      }
      if (!sizes.has(tree.size)) continue;
      const held = await contract.rootAt(origin, tree.size);
      expect(Buffer.from(held ?? []).toString('hex'), `root on the chain at ${tree.size}`).toBe(
        tree.root().toString('hex'),
      );
      checked++;
    }
    expect(checked, 'anchors beyond the log').toBe(sizes.size);
    return checked;
  } finally {
    db.close();
  }
}

const STATUS = ['unknown', 'active', 'suspended', 'revoked', 'replaced'];

/**
 * What the rows of the registry add up to is what the contract holds, of each device.
 * @returns how many devices
 */
export async function checkRegistry(dataFolder: string, contract: Hex, client: PublicClient): Promise<number> {
  const { abi } = JSON.parse(
    readFileSync(new URL('../../contracts/artifacts/Devices.json', import.meta.url), 'utf8'),
  ) as { abi: Abi };
  const db = new Database(join(dataFolder, 'edge.db'), { readonly: true });
  try {
    const devices = new Map<string, Record<string, unknown>>();
    for (const { device, data } of db
      .prepare<[], { device: Uint8Array; data: string }>(
        'SELECT device, data FROM registry_events ORDER BY block, log_index',
      )
      .all()) {
      const key = `0x${Buffer.from(device).toString('hex')}`;
      const { event, time, ...said } = JSON.parse(data) as { event: string; time: number } & Record<string, unknown>;
      const first = event === 'registered' ? { status: 'active', replacedBy: null } : {};
      const row: Record<string, unknown> = { ...devices.get(key), ...first, ...said };
      // Whose place another has taken, its period is over.
      if (said.status === 'replaced') row.validUntil = Math.min((row.validUntil as number | null) ?? time, time);
      devices.set(key, row);
    }
    for (const [key, row] of devices) {
      const held = (await client.readContract({ address: contract, abi, functionName: 'get', args: [key] })) as Record<
        string,
        unknown
      >;
      expect({
        status: row.status,
        owner: row.owner,
        meteringPoint: row.meteringPoint,
        validFrom: row.validFrom,
        validUntil: row.validUntil ?? 2 ** 40 - 1,
        capacityW: BigInt(row.capacityW as number),
        replacedBy: row.replacedBy ?? `0x${'00'.repeat(32)}`,
      }).toEqual({
        status: STATUS[held.status as number],
        owner: (held.owner as string).toLowerCase(),
        meteringPoint: held.meteringPoint,
        validFrom: held.validFrom,
        validUntil: held.validUntil,
        capacityW: held.capacityW,
        replacedBy: held.replacedBy,
      });
    }
    return devices.size;
  } finally {
    db.close();
  }
}
