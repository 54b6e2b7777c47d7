/**
 * Certificates of energy, as rows: readings near full hours, and what the rules made of them (credits/). What became of
 * a certificate on the chain is not kept here: it is what the followed events say (credit_events), joined when it is
 * asked for, so that a reorg changes it by itself.
 */
import type { SqlStatement, Store } from './store.ts';

/** Seconds since 1970 but for `...Ms`. `at` is the full hour that the reading at `iat` is near to. */
export type BoundaryRow = {
  point: string;
  at: number;
  idx: number;
  device: number;
  iat: number;
  registerWh: number;
  shape: 'reading' | 'profile';
  receivedMs: number;
  boot: number;
  clockSynced: 0 | 1;
  /** What the clock was found to be off later; null while that is not known. */
  offsetMs: number | null;
};

/**
 * What the rules say. `refused` has a code of errors.ts; `settled` was ready, and is in a block of the chain that is too
 * old to be taken back.
 */
export type RowState = 'ready' | 'refused' | 'settled';

export type CertificateRow = {
  point: string;
  slot: number;
  version: number;
  id: string;
  /** 0x and 64 hex digits. */
  pointId: string;
  device: number;
  wh: number;
  startIdx: number;
  startIat: number;
  startWh: number;
  endIdx: number;
  endIat: number;
  endWh: number;
  shape: 'reading' | 'profile';
  /** JSON. */
  flags: string;
  state: RowState;
  code: string | null;
  detail: string | null;
  /** When it was made, or its state changed. */
  madeMs: number;
};

/** `month`: the first second of its KST month, null where it lies in two. */
export type ResidualRow = {
  point: string;
  fromAt: number;
  untilAt: number;
  pointId: string;
  device: number;
  wh: number;
  month: number | null;
  startIdx: number;
  startWh: number;
  endIdx: number;
  endWh: number;
  reason: string;
  state: 'ready' | 'refused';
  code: string | null;
  detail: string | null;
  madeMs: number;
};

/** What the chain says, where it says anything. `mintedWh` is less than `wh` where a debt was taken off. */
export type Minted = {
  mintTx: string | null;
  mintBlock: number | null;
  mintTime: number | null;
  /** 0x and 64 hex digits. */
  token: string | null;
  mintedWh: number | null;
  claimedWh: number;
  withdrawn: 0 | 1;
};

export type CertificateQuery = {
  point?: string | undefined;
  device?: number | undefined;
  /** Slots in [from, to). */
  from?: number | undefined;
  to?: number | undefined;
  state?: 'ready' | 'refused' | 'minted' | 'withdrawn' | undefined;
  claimed?: boolean | undefined;
  /** Only those after this one, by slot and id. */
  after?: { slot: number; id: string } | undefined;
  limit: number;
};

type Counts = Record<'ready' | 'refused' | 'minted' | 'withdrawn' | 'mintedWh' | 'claimedWh' | 'residualWh', number>;

const hex = (bytes: Uint8Array | null): string | null => bytes && `0x${Buffer.from(bytes).toString('hex')}`;
const bytesOf = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.slice(2), 'hex'));

const BOUNDARY = `point, at, idx, device, iat, register_wh AS registerWh, shape, received_ms AS receivedMs, boot,
  clock_synced AS clockSynced, offset_ms AS offsetMs`;
const CERTIFICATE = `c.point, c.slot, c.version, c.id, c.point_id AS pointId, c.device, c.wh, c.start_idx AS startIdx,
  c.start_iat AS startIat, c.start_wh AS startWh, c.end_idx AS endIdx, c.end_iat AS endIat, c.end_wh AS endWh, c.shape,
  c.flags, c.state, c.code, c.detail, c.made_ms AS madeMs`;
const RESIDUAL = `c.point, c.from_at AS fromAt, c.until_at AS untilAt, c.point_id AS pointId, c.device, c.wh, c.month,
  c.start_idx AS startIdx, c.start_wh AS startWh, c.end_idx AS endIdx, c.end_wh AS endWh, c.reason, c.state, c.code,
  c.detail, c.made_ms AS madeMs`;

/**
 * What the chain says of the slot of `c`. Claims of a slot count over its versions: what is claimed stays claimed. Those of
 * a residual have the first second of their month for a slot: the type in the token's id (byte 25) tells them apart.
 */
const MINTED = `m.tx AS mintTx, m.block AS mintBlock, m.time AS mintTime, m.token, m.wh AS mintedWh,
  coalesce((SELECT sum(e.wh) FROM credit_events e
    WHERE e.point = c.point_id AND e.slot = c.slot AND e.event = 'ClaimSingle'
      AND substr(e.token, 25, 1) = x'01'), 0) AS claimedWh,
  EXISTS (SELECT 1 FROM credit_events e WHERE e.point = c.point_id AND e.slot = c.slot - c.slot % 86400
    AND e.event = 'Withdrawn' AND e.version > c.version) AS withdrawn`;
const FROM_CERTIFICATES = `FROM certificates c LEFT JOIN credit_events m
  ON m.point = c.point_id AND m.slot = c.slot AND m.event = 'Minted' AND m.version = c.version`;
const MINTED_RESIDUAL = `m.tx AS mintTx, m.block AS mintBlock, m.time AS mintTime, m.token, m.wh AS mintedWh,
  0 AS claimedWh, 0 AS withdrawn`;
const FROM_RESIDUALS = `FROM residuals c LEFT JOIN credit_events m ON m.point = c.point_id AND m.slot = c.month
  AND m.event = 'ResidualMinted' AND json_extract(m.data, '$.from') = c.from_at`;

type Stored<Row extends { pointId: string }> = Omit<Row & Minted, 'pointId' | 'mintTx' | 'token'> & {
  pointId: Uint8Array;
  mintTx: Uint8Array | null;
  token: Uint8Array | null;
};
const fromStored = <Row extends { pointId: string }>(row: Stored<Row>): Row & Minted =>
  ({ ...row, pointId: hex(row.pointId), mintTx: hex(row.mintTx), token: hex(row.token) }) as unknown as Row & Minted;

export class CreditRows {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  /** Of full hours in [from, until], in their order. */
  boundaries(point: string, from: number, until: number): BoundaryRow[] {
    return this.#store.all<BoundaryRow>(
      `SELECT ${BOUNDARY} FROM boundaries WHERE point = ? AND at >= ? AND at <= ? ORDER BY at, idx`,
      point,
      from,
      until,
    );
  }

  /** The full hour nearest to `at` that has a reading: before it, and after it. */
  neighbours(point: string, at: number): { before: number | undefined; after: number | undefined } {
    const one = (sql: string) => this.#store.get<{ at: number | null }>(sql, point, at)?.at ?? undefined;
    return {
      before: one('SELECT max(at) AS at FROM boundaries WHERE point = ? AND at < ?'),
      after: one('SELECT min(at) AS at FROM boundaries WHERE point = ? AND at > ?'),
    };
  }

  /** Readings of that boot whose time is not known. */
  unsynced(boot: number): BoundaryRow[] {
    return this.#store.all<BoundaryRow>(
      `SELECT ${BOUNDARY} FROM boundaries WHERE boot = ? AND clock_synced = 0 AND offset_ms IS NULL`,
      boot,
    );
  }

  /** The first full hour that a device has a reading near. */
  firstOf(point: string, device: number): number | undefined {
    const row = this.#store.get<{ at: number | null }>(
      'SELECT min(at) AS at FROM boundaries WHERE point = ? AND device = ?',
      point,
      device,
    );
    return row?.at ?? undefined;
  }

  /** Where the newest certificate or residual of a device ends that is over by `at`. */
  lastEnd(point: string, device: number, at: number): { at: number; registerWh: number } | undefined {
    return this.#store.get(
      `SELECT at, registerWh FROM (
        SELECT slot + 3600 AS at, end_wh AS registerWh FROM certificates
          WHERE point = ? AND device = ? AND slot < ? AND state IN ('ready', 'settled')
        UNION ALL
        SELECT until_at, end_wh FROM residuals WHERE point = ? AND device = ? AND until_at <= ? AND state = 'ready'
      ) ORDER BY at DESC LIMIT 1`,
      ...[point, device, at, point, device, at],
    );
  }

  certificatesOf(point: string, from: number, to: number): (CertificateRow & Minted)[] {
    return this.#store
      .all<Stored<CertificateRow>>(
        `SELECT ${CERTIFICATE}, ${MINTED} ${FROM_CERTIFICATES} WHERE c.point = ? AND c.slot >= ? AND c.slot < ?
         ORDER BY c.slot, c.version`,
        point,
        from,
        to,
      )
      .map(fromStored<CertificateRow>);
  }

  residualsOf(point: string, from: number, to: number): (ResidualRow & Minted)[] {
    return this.#store
      .all<Stored<ResidualRow>>(
        `SELECT ${RESIDUAL}, ${MINTED_RESIDUAL} ${FROM_RESIDUALS} WHERE c.point = ? AND c.until_at > ? AND c.from_at < ?
         ORDER BY c.from_at, c.until_at`,
        point,
        from,
        to,
      )
      .map(fromStored<ResidualRow>);
  }

  /** Not minted, and not refused: of all points, oldest first. */
  ready(limit: number): (CertificateRow & Minted)[] {
    return this.#store
      .all<Stored<CertificateRow>>(
        `SELECT ${CERTIFICATE}, ${MINTED} ${FROM_CERTIFICATES} WHERE c.state = 'ready' AND m.block IS NULL
         ORDER BY c.slot, c.id LIMIT ?`,
        limit,
      )
      .map(fromStored<CertificateRow>)
      .filter(({ withdrawn }) => withdrawn === 0);
  }

  /** Not minted, not refused, of one month, and over by `until`. */
  readyResiduals(until: number, limit: number): (ResidualRow & Minted)[] {
    return this.#store
      .all<Stored<ResidualRow>>(
        `SELECT ${RESIDUAL}, ${MINTED_RESIDUAL} ${FROM_RESIDUALS} WHERE c.state = 'ready' AND c.month IS NOT NULL
         AND m.block IS NULL AND c.until_at <= ? ORDER BY c.from_at LIMIT ?`,
        until,
        limit,
      )
      .map(fromStored<ResidualRow>);
  }

  byId(id: string): (CertificateRow & Minted) | undefined {
    const row = this.#store.get<Stored<CertificateRow>>(
      `SELECT ${CERTIFICATE}, ${MINTED} ${FROM_CERTIFICATES} WHERE c.id = ?`,
      id,
    );
    return row && fromStored<CertificateRow>(row);
  }

  /** By slot, oldest first. */
  list(q: CertificateQuery): (CertificateRow & Minted)[] {
    const conditions: string[] = ['1'];
    const params: unknown[] = [];
    const where = (condition: string, ...values: unknown[]): void => {
      conditions.push(condition);
      params.push(...values);
    };
    if (q.point !== undefined) where('c.point = ?', q.point);
    if (q.device !== undefined) where('c.device = ?', q.device);
    if (q.from !== undefined) where('c.slot >= ?', q.from);
    if (q.to !== undefined) where('c.slot < ?', q.to);
    if (q.after) where('(c.slot, c.id) > (?, ?)', q.after.slot, q.after.id);
    if (q.state === 'ready') where("c.state = 'ready' AND mintBlock IS NULL AND withdrawn = 0");
    if (q.state === 'refused') where("c.state = 'refused' AND mintBlock IS NULL");
    if (q.state === 'minted') where('mintBlock IS NOT NULL AND withdrawn = 0');
    if (q.state === 'withdrawn') where('withdrawn = 1');
    if (q.claimed !== undefined) where(q.claimed ? 'claimedWh > 0' : 'claimedWh = 0');
    return this.#store
      .all<Stored<CertificateRow>>(
        `SELECT ${CERTIFICATE}, ${MINTED} ${FROM_CERTIFICATES} WHERE ${conditions.join(' AND ')}
         ORDER BY c.slot, c.id LIMIT ?`,
        ...params,
        q.limit,
      )
      .map(fromStored<CertificateRow>);
  }

  residuals(point: string | undefined, limit: number): (ResidualRow & Minted)[] {
    return this.#store
      .all<Stored<ResidualRow>>(
        `SELECT ${RESIDUAL}, ${MINTED_RESIDUAL} ${FROM_RESIDUALS} WHERE ? IS NULL OR c.point = ?
         ORDER BY c.from_at, c.point LIMIT ?`,
        point ?? null,
        point ?? null,
        limit,
      )
      .map(fromStored<ResidualRow>);
  }

  /** Certificates by what became of them; Wh of those that are minted and stand, of residuals, and of claims. */
  counts(): Counts {
    const totals = new Map(
      this.#store
        .all<{ event: string; n: number; wh: number }>('SELECT event, n, wh FROM credit_totals')
        .map((t) => [t.event, t] as const),
    );
    const of = (event: string) => totals.get(event) ?? { n: 0, wh: 0 };
    const open = this.#store.get<{ ready: number; refused: number }>(
      `SELECT (SELECT count(*) FROM (SELECT ${MINTED} ${FROM_CERTIFICATES} WHERE c.state = 'ready')
          WHERE mintBlock IS NULL AND withdrawn = 0) AS ready,
        (SELECT count(*) FROM certificates WHERE state = 'refused') AS refused`,
    ) as { ready: number; refused: number };
    const gone = this.#store.get<{ n: number; wh: number }>(
      `SELECT count(*) AS n, coalesce(sum(m.wh), 0) AS wh FROM credit_events w JOIN credit_events m
        ON m.point = w.point AND m.slot >= w.slot AND m.slot < w.slot + 86400 AND m.event = 'Minted'
          AND m.version = w.version - 1
        WHERE w.event = 'Withdrawn'`,
    ) as { n: number; wh: number };
    return {
      ...open,
      minted: of('Minted').n - gone.n,
      withdrawn: gone.n,
      mintedWh: of('Minted').wh - gone.wh,
      claimedWh: of('ClaimSingle').wh,
      residualWh: of('ResidualMinted').wh,
    };
  }

  /** What was minted up to that block, which is too old to be taken back, is over. */
  settleUntil(block: number): SqlStatement[] {
    const minted = `EXISTS (SELECT 1 FROM credit_events m WHERE m.point = certificates.point_id
      AND m.slot = certificates.slot AND m.event = 'Minted' AND m.version = certificates.version AND m.block <= ?)`;
    return [{ sql: `UPDATE certificates SET state = 'settled' WHERE state = 'ready' AND ${minted}`, params: [block] }];
  }

  /** All that is settled is open again: the chain was read anew. */
  unsettle(): SqlStatement[] {
    return [{ sql: "UPDATE certificates SET state = 'ready' WHERE state = 'settled'", params: [] }];
  }

  /** What the chain holds of a metering point in [from, until): a row for each slot, and for each residual that reaches in. */
  chainWord(
    pointId: string,
    from: number,
    until: number,
  ): { event: string; slot: number; version: number; data: string }[] {
    const id = bytesOf(pointId);
    return [
      ...this.#store.all<{ event: string; slot: number; version: number; data: string }>(
        `SELECT event, slot, version, data FROM credit_events
         WHERE point = ? AND slot >= ? AND slot < ? AND event = 'Minted'`,
        ...[id, from, until],
      ),
      ...this.#store.all<{ event: string; slot: number; version: number; data: string }>(
        `SELECT event, slot, version, data FROM credit_events WHERE point = ? AND event = 'ResidualMinted'
         AND json_extract(data, '$.until') > ? AND json_extract(data, '$.from') < ?`,
        ...[id, from, until],
      ),
    ];
  }

  /** Withdrawn days (since 1970-01-01), and the version that each has since. */
  versions(pointId: string, firstDay: number, lastDay: number): Map<number, number> {
    const rows = this.#store.all<{ day: number; version: number }>(
      `SELECT slot / 86400 AS day, max(version) AS version FROM credit_events
       WHERE point = ? AND slot >= ? AND slot <= ? AND event = 'Withdrawn' GROUP BY slot`,
      ...[bytesOf(pointId), firstDay * 86_400, lastDay * 86_400],
    );
    return new Map(rows.map(({ day, version }) => [day, version]));
  }

  /** Wh that were claimed to charge a storage plant, and that it has not given back yet. */
  chargedWh(pointId: string): number {
    const { charged } = this.#store.get<{ charged: number }>(
      `SELECT coalesce(sum(wh), 0) AS charged FROM (
        SELECT json_extract(data, '$.wh') AS wh FROM credit_events WHERE event = 'Claimed'
          AND json_extract(data, '$.purpose') = 4 AND json_extract(data, '$.beneficiary') = ?
        UNION ALL
        SELECT -wh FROM credit_events WHERE point = ? AND event IN ('Minted', 'ResidualMinted'))`,
      ...[pointId, bytesOf(pointId)],
    ) as { charged: number };
    return charged;
  }

  /** Wh of a metering point's hours in [from, until) that are minted, stand, and are not claimed. */
  leftWh(pointId: string, from: number, until: number): number {
    const { left } = this.#store.get<{ left: number | null }>(
      `SELECT sum(CASE WHEN event = 'Minted' AND NOT EXISTS (SELECT 1 FROM credit_events w WHERE w.point = e.point
          AND w.slot = e.slot - e.slot % 86400 AND w.event = 'Withdrawn' AND w.version > e.version) THEN wh
        WHEN event = 'ClaimSingle' AND substr(token, 25, 1) = x'01' THEN -wh END) AS left
       FROM credit_events e WHERE point = ? AND slot >= ? AND slot < ?`,
      ...[bytesOf(pointId), from, until],
    ) as { left: number | null };
    return Math.max(0, left ?? 0);
  }

  /** Metering points that events after that block speak of, or whom a claim charged, with the first slot of each. */
  touchedSince(block: number): { point: string; slot: number }[] {
    return this.#store
      .all<{ point: Uint8Array; slot: number }>(
        `SELECT point, min(slot) AS slot FROM credit_events WHERE block > ? AND point IS NOT NULL AND slot IS NOT NULL
         GROUP BY point
         UNION ALL
         SELECT unhex(substr(json_extract(data, '$.beneficiary'), 3)), time - 86400 FROM credit_events
         WHERE block > ? AND event = 'Claimed' AND json_extract(data, '$.purpose') = 4`,
        ...[block, block],
      )
      .map(({ point, slot }) => ({ point: hex(point) as string, slot }));
  }

  /** All points that have a reading near a full hour. */
  points(): string[] {
    return this.#store
      .all<{ point: string }>('SELECT DISTINCT point FROM boundaries ORDER BY point')
      .map((r) => r.point);
  }

  async write(statements: readonly SqlStatement[]): Promise<void> {
    await this.#store.write({ name: 'credits', statements });
  }
}

export const saveBoundary = (b: BoundaryRow): SqlStatement => ({
  sql: `INSERT INTO boundaries (point, at, idx, device, iat, register_wh, shape, received_ms, boot, clock_synced, offset_ms)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET offset_ms = excluded.offset_ms`,
  params: [
    b.point,
    b.at,
    b.idx,
    b.device,
    b.iat,
    b.registerWh,
    b.shape,
    b.receivedMs,
    b.boot,
    b.clockSynced,
    b.offsetMs,
  ],
});

export const dropBoundary = ({ point, at, idx }: Pick<BoundaryRow, 'point' | 'at' | 'idx'>): SqlStatement => ({
  sql: 'DELETE FROM boundaries WHERE point = ? AND at = ? AND idx = ?',
  params: [point, at, idx],
});

export const saveCertificate = (c: CertificateRow): SqlStatement => ({
  sql: `INSERT OR REPLACE INTO certificates (point, slot, version, id, point_id, device, wh, start_idx, start_iat, start_wh,
    end_idx, end_iat, end_wh, shape, flags, state, code, detail, made_ms)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  params: [
    ...[c.point, c.slot, c.version, c.id, bytesOf(c.pointId), c.device, c.wh],
    ...[c.startIdx, c.startIat, c.startWh, c.endIdx, c.endIat, c.endWh],
    ...[c.shape, c.flags, c.state, c.code, c.detail, c.madeMs],
  ],
});

export const dropCertificate = ({ point, slot, version }: CertificateRow): SqlStatement => ({
  sql: 'DELETE FROM certificates WHERE point = ? AND slot = ? AND version = ?',
  params: [point, slot, version],
});

export const saveResidual = (r: ResidualRow): SqlStatement => ({
  sql: `INSERT OR REPLACE INTO residuals (point, from_at, until_at, point_id, device, wh, month, start_idx, start_wh,
    end_idx, end_wh, reason, state, code, detail, made_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  params: [
    ...[r.point, r.fromAt, r.untilAt, bytesOf(r.pointId), r.device, r.wh, r.month],
    ...[r.startIdx, r.startWh, r.endIdx, r.endWh, r.reason, r.state, r.code, r.detail, r.madeMs],
  ],
});

export const dropResidual = ({ point, fromAt, untilAt }: ResidualRow): SqlStatement => ({
  sql: 'DELETE FROM residuals WHERE point = ? AND from_at = ? AND until_at = ?',
  params: [point, fromAt, untilAt],
});
