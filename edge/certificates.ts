/**
 * Certificates as the API tells of them: rows of the rules (store/credits.ts), what the followed chain says of each, the
 * document and its file, and the two things that an operator can do: claim and withdraw. Joins what does not know each
 * other: api/, credits/, chain/, store/.
 */
import { randomBytes } from 'node:crypto';
import { sha256 } from '@noble/hashes/sha2.js';
import {
  type CertificateRowView,
  type CertificateState,
  type ClaimPurpose,
  type CreditClaimView,
  PURPOSES,
  type TransactionView,
} from './api/credit-views.ts';
import type { CertificatePlace, CreditsParts } from './api/credits-parts.ts';
import type { ApiParts } from './api/parts.ts';
import { inSuccession } from './api/succession.ts';
import { commitment } from './chain/commitment.ts';
import type { Documents } from './credit-documents.ts';
import { type CertificateFacts, issueCertificate, makeCertificate } from './credits/certificate.ts';
import { type ClaimRecord, encodeFile, type MintRecord, signFile } from './credits/certificate-file.ts';
import { CERTIFIED_KINDS } from './credits/gather.ts';
import { certificateId, gsrnOf } from './credits/gsrn.ts';
import { missing } from './credits/missing.ts';
import { type StatementInput, statement } from './credits/statement.ts';
import { kstMonthRange } from './credits/time.ts';
import type { Flag } from './credits/types.ts';
import { why } from './credits/why.ts';
import { EdgeError } from './errors.ts';
import type { Log } from './log/log.ts';
import type { Deed } from './people.ts';
import type { ClaimEvent, CreditNews } from './store/credit-news.ts';
import type { CertificateQuery, CertificateRow, CreditRows, Minted, ResidualRow } from './store/credits.ts';
import type { Device, Devices } from './store/devices.ts';
import type { Entries } from './store/entries.ts';
import { DAY, HOUR } from './wire/boundary.ts';
import { utf8Bytes } from './wire/bytes.ts';
import type { Signer } from './wire/vc/proof.ts';
import { timeText } from './wire/vc/shape.ts';

export type Sent = { hash: string; block: number | null };
/** The gateway's own account on the chain. Each resolves once the transaction is written down and sent. */
export type CreditWallet = {
  account: string;
  /** Wh. @param token 0x and 64 hex digits @throws EdgeError CHAIN_AWAY */
  balanceOf: (token: string) => Promise<bigint>;
  /** @param purpose as the contract counts them @throws EdgeError CHAIN_AWAY, CHAIN_REFUSED */
  claim: (
    lines: { meteringPoint: string; slot: number; wh: number }[],
    beneficiary: string,
    purpose: number,
    recipient: string,
  ) => Promise<Sent>;
  /** @param month its first second */
  claimResidual: (
    meteringPoint: string,
    month: number,
    wh: number,
    beneficiary: string,
    purpose: number,
    recipient: string,
  ) => Promise<Sent>;
  withdraw: (meteringPoint: string, day: number, reason: string) => Promise<Sent>;
};

export type CertificatesOptions = {
  rows: CreditRows;
  news: CreditNews;
  log: Log;
  entries: Entries;
  devices: Devices;
  gateway: Signer;
  /** ISO 3166-2. */
  area: string | null;
  /** Undefined while there is none that it could ask. */
  contract: () => { chainId: number; credits: string } | undefined;
  wallet: () => CreditWallet | undefined;
  anchorCovering: ApiParts['anchorCovering'];
  /** Slots that a transaction which is not mined yet certifies: the commitment of the metering point, a space, the slot. */
  onItsWay: () => ReadonlySet<string>;
  /** Wh of a slot that claims on their way will take. @param point its commitment */
  claiming: (point: string, slot: number) => number;
  /** Lets a withdrawn day be certified anew, in that version. @param point its commitment */
  reissue: (point: string, day: number, version: number) => Promise<void>;
  note: (deed: Deed) => Promise<void>;
  documents: Documents;
};

type Row = CertificateRow & Minted;

const text = (seconds: number): string => timeText(seconds * 1000);
const ZERO_HASH = `0x${'00'.repeat(32)}`;
const hex = (bytes: Uint8Array): string => `0x${Buffer.from(bytes).toString('hex')}`;
const PAGE = 1000;
const NO_CERTIFICATE = { state: 'none' as const, id: null, wh: 0, claimedWh: 0, code: null, flags: [] };
/** Hours that are claimed in one transaction: ten days, far below what a block takes. */
const LINES = 240;
const sum = (of: readonly { wh: number }[]): number => of.reduce((total, { wh }) => total + wh, 0);

export function certificateParts(o: CertificatesOptions): CreditsParts {
  const certificates = new Certificates(o);
  return {
    list: (filter) => certificates.list(filter),
    get: (id) => certificates.get(id),
    file: (id) => certificates.file(id),
    claim: (id, wanted, by) => certificates.claim(id, wanted, by),
    withdraw: (id, reason, by) => certificates.withdraw(id, reason, by),
    reissue: (id, by) => certificates.reissue(id, by),
    slots: (from, after, limit) => certificates.slots(from, after, limit),
    residuals: ({ meteringPoint, limit }) =>
      o.rows.residuals(meteringPoint, limit).map((row) => certificates.residual(row)),
    trades: (limit) =>
      o.news.trades(limit).map((e) => ({ event: e.event, transaction: certificates.transaction(e), data: e.data })),
    ...o.documents,
    lock: (month, point, plant, application, by) => certificates.lock(month, point, plant, application, by),
    statement: (month, meteringPoint) => statement(certificates.statementInput(month, meteringPoint)),
    news: (after, limit) => certificates.news(after, limit),
    newest: () => o.news.newest,
  };
}

class Certificates {
  readonly #o: CertificatesOptions;

  constructor(options: CertificatesOptions) {
    this.#o = options;
  }

  #row(id: string): Row {
    const row = this.#o.rows.byId(id);
    if (!row) throw new EdgeError('NOT_FOUND', `no certificate ${id}`);
    return row;
  }

  /** @param onItsWay of all slots, for who asks of many rows */
  #stateOf(row: Row, onItsWay?: ReadonlySet<string>): CertificateState {
    if (row.withdrawn) return 'withdrawn';
    if (row.mintBlock !== null) return 'minted';
    if (row.state === 'refused') return 'refused';
    return (onItsWay ?? this.#o.onItsWay()).has(`${row.pointId} ${row.slot}`) ? 'sent' : 'ready';
  }

  #device(row: { device: number; id?: string }): Device {
    const device = this.#o.devices.byId(row.device);
    if (!device) throw new EdgeError('INTERNAL', `no device ${row.device} of certificate ${row.id}`);
    return device;
  }

  transaction({ tx, block, time }: { tx: string; block: number | null; time: number | null }): TransactionView {
    const { chainId = 0, credits = ZERO_HASH.slice(0, 42) } = this.#o.contract() ?? {};
    return { chainId, contract: credits, hash: tx, block, time };
  }

  #minted({ mintTx, mintBlock, mintTime }: Minted): TransactionView | null {
    return mintTx === null ? null : this.transaction({ tx: mintTx, block: mintBlock, time: mintTime });
  }

  describe(row: Row, onItsWay?: ReadonlySet<string>): CertificateRowView {
    const state = this.#stateOf(row, onItsWay);
    const mint = row.mintTx === null ? undefined : this.#o.news.mintOf(row.pointId, row.slot, row.version);
    return {
      id: row.id,
      version: row.version,
      meteringPoint: row.point,
      device: this.#device(row).did,
      slot: row.slot,
      start: text(row.slot),
      end: text(row.slot + HOUR),
      wh: row.wh,
      claimedWh: row.claimedWh,
      state,
      code: state === 'refused' ? row.code : null,
      detail: state === 'refused' ? row.detail : mint ? otherReadings(row, mint.data) : null,
      flags: flagsOf(row).map(({ flag }) => flag),
      owner: mint ? String(mint.data.owner) : null,
      transaction: this.#minted(row),
      madeMs: row.madeMs,
    };
  }

  list({ meteringPoint, device, state, after, limit, ...span }: Parameters<CreditsParts['list']>[0]) {
    const { rows, devices } = this.#o;
    const of = device === undefined ? undefined : devices.get(device);
    if (device !== undefined && !of) throw new EdgeError('DEVICE_UNKNOWN', device);
    const last = after === undefined ? undefined : this.#row(after);
    // What is on its way is no row of its own: among those that are ready.
    const inJs = state === 'sent' || state === 'ready';
    const onItsWay = this.#o.onItsWay();
    const query: CertificateQuery = {
      ...span,
      point: meteringPoint,
      device: of?.id,
      state: state === 'sent' ? 'ready' : state,
      after: last && { slot: last.slot, id: last.id },
      limit: inJs ? PAGE : limit,
    };
    const found: CertificateRowView[] = [];
    for (;;) {
      const page = rows.list(query);
      for (const row of page) {
        const view = this.describe(row, onItsWay);
        if (found.length < limit && (!inJs || view.state === state)) found.push(view);
      }
      const end = page.at(-1);
      if (!end || found.length === limit || page.length < query.limit) return found;
      query.after = { slot: end.slot, id: end.id };
    }
  }

  residual(row: ResidualRow & Minted): ReturnType<CreditsParts['residuals']>[number] {
    return {
      meteringPoint: row.point,
      device: this.#device(row).did,
      from: text(row.fromAt),
      until: text(row.untilAt),
      wh: row.wh,
      month: row.month === null ? null : text(row.month + 9 * HOUR).slice(0, 7),
      reason: row.reason,
      state: row.mintBlock !== null ? 'minted' : row.state,
      code: row.code,
      detail: row.detail,
      transaction: this.#minted(row),
      madeMs: row.madeMs,
    };
  }

  slots(...[from, after, limit]: Parameters<CreditsParts['slots']>): ReturnType<CreditsParts['slots']> {
    const { rows, devices } = this.#o;
    const onItsWay = this.#o.onItsWay();
    const now = Date.now() / 1000;
    const certified = devices.list().filter(({ kind }) => CERTIFIED_KINDS.has(kind));
    const points = [...new Set(certified.map(({ sub }) => sub))].sort();
    const first = after === undefined ? 0 : points.findIndex((point) => point > after);
    return (first < 0 ? [] : points.slice(first, first + limit)).map((point) => {
      const { did, kind, label, capacityW, status } = inSuccession(devices.list(), point).at(-1) as Device;
      const found = new Map(rows.certificatesOf(point, from, from + DAY).map((row) => [row.slot, row]));
      const near = rows.boundaries(point, from, from + DAY);
      const gaps = rows.residualsOf(point, from, from + DAY);
      const spans = gaps.map(({ fromAt, untilAt }) => ({ from: fromAt, until: untilAt }));
      const shared = { now, near, residuals: spans, suspended: status === 'suspended', storage: kind === 'storage' };
      const slots = Array.from({ length: 24 }, (_, hour) => {
        const slot = from + hour * HOUR;
        const row = found.get(slot);
        if (!row) {
          const why = missing({ ...shared, slot });
          return { ...NO_CERTIFICATE, slot, missing: why };
        }
        const { id, wh, claimedWh, state, code, flags } = this.describe(row, onItsWay);
        return { slot, state, missing: null, id, wh, claimedWh, code, flags };
      });
      const residuals = gaps.map((row) => this.residual(row));
      return { meteringPoint: point, device: did, kind, label, capacityW, slots, residuals };
    });
  }

  #facts(row: Row): CertificateFacts {
    const { rows, devices, log, gateway, area } = this.#o;
    const device = this.#device(row);
    const gsrn = gsrnOf(row.point);
    const covering = this.#o.anchorCovering(Math.max(row.startIdx, row.endIdx));
    const tree = covering && log.checkpointOfSize(covering.size);
    const clocks = rows
      .boundaries(row.point, row.slot, row.slot + HOUR)
      .filter(({ at, idx }) => idx === (at === row.slot ? row.startIdx : row.endIdx));
    const known = clocks.length === 2 && clocks.every((b) => b.clockSynced === 1 || b.offsetMs !== null);
    return {
      id: row.id,
      version: row.version,
      supersedes: row.version === 0 ? null : certificateId(gsrn, row.slot, row.version - 1),
      issuer: gateway.did,
      madeMs: row.madeMs,
      pointId: row.pointId,
      gsrn,
      device: device.did,
      registerEpoch: inSuccession(devices.list(), row.point).findIndex(({ id }) => id === row.device) + 1,
      shape: row.shape,
      slot: row.slot,
      wh: row.wh,
      start: { iat: row.startIat, wh: row.startWh, entry: row.startIdx },
      end: { iat: row.endIat, wh: row.endWh, entry: row.endIdx },
      modulusWh: device.registerModulusWh,
      clock: !known ? 'unknown' : clocks.every((b) => b.clockSynced === 1) ? 'synced' : 'corrected',
      log: tree && { origin: log.origin, size: tree.size, root: tree.root },
      plant: {
        storage: device.kind === 'storage',
        energySource: device.energySource,
        capacityW: device.capacityW,
        area,
      },
      flags: flagsOf(row),
      weight: null,
    };
  }

  get(id: string): ReturnType<CreditsParts['get']> {
    const row = this.#row(id);
    const view = this.describe(row);
    const facts = this.#facts(row);
    const covering = this.#o.anchorCovering(Math.max(row.startIdx, row.endIdx));
    return {
      ...view,
      certificate: makeCertificate(facts),
      why: why({ ...facts, point: row.point, refused: view.code, detail: view.detail }, covering?.hint),
      claims: this.#o.news.claimsOf(row.pointId, row.slot).map((claim) => this.#claimView(claim)),
    };
  }

  #claimView(claim: ClaimEvent): CreditClaimView {
    const { purpose, holder, beneficiary, recipient } = claimed(claim);
    return { transaction: this.transaction(claim), holder, wh: claim.wh ?? 0, purpose, beneficiary, recipient };
  }

  file(id: string): Uint8Array {
    const { news, log, entries, gateway } = this.#o;
    const row = this.#row(id);
    const state = this.#stateOf(row);
    const mint = news.mintOf(row.pointId, row.slot, row.version);
    // A file of what was withdrawn would hold offline, and be worth nothing.
    if (!mint || state !== 'minted') throw notMinted(row, state);
    const others = otherReadings(row, mint.data);
    if (others) throw new EdgeError('CREDIT_OTHER_READINGS', `${id}: ${others}`);
    const contract = this.#o.contract();
    if (!contract) throw new EdgeError('CREDITS_OFF', 'the chain is not known yet');
    const indexes = row.startIdx === row.endIdx ? [row.startIdx] : [row.startIdx, row.endIdx];
    const covering = this.#o.anchorCovering(Math.max(...indexes));
    const checkpoint = covering && log.checkpointOfSize(covering.size);
    if (!covering || !checkpoint) throw new EdgeError('NOT_ANCHORED', `entry ${Math.max(...indexes)}`);
    const where = { chainId: contract.chainId, contract: contract.credits };
    const file = signFile(
      {
        credential: issueCertificate(makeCertificate(this.#facts(row)), gateway),
        entries: indexes.map((index) => {
          const entry = entries.get(index);
          if (!entry || entry.leaf) throw new EdgeError('ENTRY_PRUNED', `entry ${index} of ${id}`);
          return {
            index,
            entry: Buffer.from(entry.entry).toString('base64'),
            path: log.inclusion(index, checkpoint.size).map((h) => Buffer.from(h).toString('base64')),
          };
        }),
        log: { key: log.verifierKey, checkpoint: checkpoint.note },
        anchor: covering.hint,
        mint: { ...where, transaction: mint.tx, block: mint.block, ...mintFields(mint.data) },
        claims: news.claimsOf(row.pointId, row.slot).map(
          (claim): ClaimRecord => ({
            ...where,
            transaction: claim.tx,
            block: claim.block,
            id: claim.token ?? ZERO_HASH,
            slot: row.slot,
            wh: claim.wh ?? 0,
            ...claimed(claim),
          }),
        ),
      },
      gateway,
      Date.now(),
    );
    return encodeFile(file);
  }

  async claim(...[id, wanted, by]: Parameters<CreditsParts['claim']>): ReturnType<CreditsParts['claim']> {
    const row = this.#row(id);
    const { beneficiary: who, purpose, recipient = '' } = wanted;
    if (purpose === 'donation' && recipient === '')
      throw new EdgeError('REQUEST_INVALID', 'a donation needs its recipient');
    const { beneficiary, salt } = this.#beneficiary(purpose, who);
    const wallet = this.#walletFor(row);
    const left = this.#leftOf(row) - this.#o.claiming(row.pointId, row.slot);
    const wh = wanted.wh ?? left;
    if (wh > left || wh < 1) throw new EdgeError('CREDIT_NOT_ENOUGH', `${left} of ${row.wh} Wh are left of ${id}`);
    const held = await wallet.balanceOf(row.token as string);
    if (held < BigInt(wh)) {
      const owner = String(this.#o.news.mintOf(row.pointId, row.slot, row.version)?.data.owner);
      const who = same(owner, wallet.account) ? 'they were sold or moved since' : `they were minted to ${owner}`;
      throw new EdgeError('CREDIT_NOT_HELD', `the account ${wallet.account} holds ${held} Wh of that day: ${who}`);
    }
    const lines = [{ meteringPoint: row.pointId, slot: row.slot, wh }];
    const sent = await wallet.claim(lines, beneficiary, PURPOSES.indexOf(purpose), recipient);
    await this.#o.note({
      by,
      action: 'credit.claim',
      on: id,
      detail: { wh, purpose, beneficiary, recipient, transaction: sent.hash },
    });
    const transaction = this.transaction({ tx: sent.hash, block: sent.block, time: null });
    return { transaction, wh, purpose, beneficiary, salt };
  }

  /** What was debited is gone; claims of earlier versions were taken off when this one was minted. */
  #leftOf(row: Row): number {
    if (row.mintedWh === null || row.withdrawn) return 0;
    const claims = this.#o.news.claimsOf(row.pointId, row.slot).filter(({ version }) => version === row.version);
    const claimed = claims.reduce((total, { wh }) => total + (wh ?? 0), 0);
    return Math.max(0, row.mintedWh - claimed);
  }

  statementInput(month: string, point: string): StatementInput {
    const { rows, news, devices } = this.#o;
    const range = kstMonthRange(month);
    if (!range) throw new EdgeError('REQUEST_INVALID', `${month} is no month, as 2026-11`);
    if (!devices.list().some(({ sub }) => sub === point))
      throw new EdgeError('NOT_FOUND', `no device is enrolled for ${point}`);
    const pointId = commitment(point);
    return {
      ...{ month, point, pointId, gsrn: gsrnOf(point) },
      certificates: rows.certificatesOf(point, range.from, range.until).map((row) => ({
        ...{ id: row.id, slot: row.slot, version: row.version, wh: row.wh, code: row.code, claimedWh: row.claimedWh },
        ...{ startIdx: row.startIdx, startWh: row.startWh, endIdx: row.endIdx, endWh: row.endWh },
        ...{ device: this.#device(row).did, state: this.#stateOf(row), leftWh: this.#leftOf(row) },
      })),
      residuals: rows.residualsOf(point, range.from, range.until).map((row) => ({
        ...{ from: row.fromAt, until: row.untilAt, wh: row.wh, reason: row.reason, code: row.code },
        state: row.mintBlock !== null ? ('minted' as const) : row.state,
        mintable: row.month !== null,
      })),
      residualClaimedWh: news.residualClaimed(pointId, range.from),
      trades: news.boughtOf(pointId),
    };
  }

  /** A name is hashed with a salt; a storage plant is known by the commitment of its metering point. */
  #beneficiary(purpose: ClaimPurpose, who: string | undefined): { beneficiary: string; salt: string | null } {
    if (purpose === 'storage-charge') {
      const charged = this.#o.devices.list().find(({ kind, sub }) => kind === 'storage' && sub === who);
      if (!charged)
        throw new EdgeError('REQUEST_INVALID', 'the beneficiary of a charge is the metering point of a storage plant');
      return { beneficiary: commitment(charged.sub), salt: null };
    }
    if (who === undefined) return { beneficiary: ZERO_HASH, salt: null };
    const salt = randomBytes(32);
    return {
      beneficiary: hex(sha256(Buffer.concat([salt, utf8Bytes(who)]))),
      salt: salt.toString('hex'),
    };
  }

  async withdraw(...[id, reason, by]: Parameters<CreditsParts['withdraw']>): ReturnType<CreditsParts['withdraw']> {
    const row = this.#row(id);
    const sent = await this.#walletFor(row).withdraw(row.pointId, Math.floor(row.slot / DAY), reason);
    await this.#o.note({ by, action: 'credit.withdraw', on: id, detail: { reason, transaction: sent.hash } });
    return this.transaction({ tx: sent.hash, block: sent.block, time: null });
  }

  async lock(...[month, point, plant, number, by]: Parameters<CreditsParts['lock']>): ReturnType<CreditsParts['lock']> {
    const application = this.#o.documents.rec(month, point, plant);
    const wallet = this.#wallet();
    for (const { slot } of application.locks)
      if (this.#o.claiming(commitment(point), slot) > 0)
        throw new EdgeError(
          'CREDIT_NOT_ENOUGH',
          `a claim of ${text(slot)} is on its way: try again once it is in a block`,
        );
    const hours = application.locks.filter(({ kind }) => kind === 'slot');
    const gaps = application.locks.filter(({ kind }) => kind === 'residual');
    if (application.locks.length === 0)
      throw new EdgeError('CREDIT_NOT_ENOUGH', `nothing that is minted is left of ${month}`);
    // All of it is in the account, or nothing is claimed.
    const byToken = Map.groupBy(hours, ({ slot }) => this.#tokenOf(point, slot));
    for (const [token, locks] of byToken) {
      const held = await wallet.balanceOf(token);
      const wh = sum(locks);
      if (held < BigInt(wh))
        throw new EdgeError('CREDIT_NOT_HELD', `the account ${wallet.account} holds ${held} of ${wh} Wh of ${token}`);
    }
    const sent: Sent[] = [];
    const purpose = PURPOSES.indexOf('rec-application');
    for (let i = 0; i < hours.length; i += LINES) {
      const lines = hours.slice(i, i + LINES).map(({ meteringPoint, slot, wh }) => ({ meteringPoint, slot, wh }));
      sent.push(await wallet.claim(lines, ZERO_HASH, purpose, number));
    }
    for (const { meteringPoint, slot, wh } of gaps)
      sent.push(await wallet.claimResidual(meteringPoint, slot, wh, ZERO_HASH, purpose, number));
    const wh = sum(application.locks);
    const detail = { month, wh, application: number, transactions: sent.map(({ hash }) => hash).join(' ') };
    await this.#o.note({ by, action: 'credit.rec-lock', on: point, detail });
    const transactions = sent.map(({ hash, block }) => this.transaction({ tx: hash, block, time: null }));
    return { application, wh, transactions };
  }

  #tokenOf(point: string, slot: number): string {
    const minted = this.#o.rows
      .certificatesOf(point, slot, slot + HOUR)
      .findLast(({ token, withdrawn }) => token !== null && !withdrawn);
    return minted?.token ?? ZERO_HASH;
  }

  async reissue(...[id, by]: Parameters<CreditsParts['reissue']>): ReturnType<CreditsParts['reissue']> {
    const row = this.#row(id);
    const state = this.#stateOf(row);
    if (row.version === 0 || state !== 'ready')
      throw new EdgeError('CREDIT_NOT_WITHDRAWN', `${id} is ${state}, in version ${row.version}`);
    await this.#o.note({ by, action: 'credit.reissue', on: id, detail: { version: row.version } });
    await this.#o.reissue(row.pointId, Math.floor(row.slot / DAY), row.version);
    return this.describe(row);
  }

  #walletFor(row: Row): CreditWallet {
    const state = this.#stateOf(row);
    if (state !== 'minted') throw notMinted(row, state);
    return this.#wallet();
  }

  #wallet(): CreditWallet {
    const wallet = this.#o.wallet();
    if (!wallet) throw new EdgeError('CHAIN_AWAY', 'it was not reached since the start');
    return wallet;
  }

  /** Whole groups alone: what was made in the same millisecond, or is spoken of by the same event, is told together. */
  news(after: CertificatePlace, limit: number): ReturnType<CreditsParts['news']> {
    const { news, rows } = this.#o;
    // After a reorg the chain has come less far than the reader: what is in its place now is told.
    const { block, logIndex } = news.newest;
    const seen = block < after.block ? { block, logIndex } : after;
    const onItsWay = this.#o.onItsWay();
    const start = { madeMs: after.madeMs, block: seen.block, logIndex: seen.logIndex };
    const made = wholeGroups(
      (most) => news.madeAfter(start.madeMs, most),
      limit,
      ({ madeMs }) => `${madeMs}`,
    ).map(({ id, madeMs }) => ({ id, place: { ...start, madeMs } }));
    const madeMs = made.at(-1)?.place.madeMs ?? start.madeMs;
    const changed = wholeGroups(
      (most) => news.changedAfter(start.block, start.logIndex, most),
      limit,
      (e) => `${e.block} ${e.logIndex}`,
    ).map(({ id, block, logIndex }) => ({ id, place: { madeMs, block, logIndex } }));
    const all = [...made, ...changed];
    return all.flatMap(({ id, place }, i) => {
      const row = rows.byId(id);
      // Who stops within a group begins it again.
      const next = all[i + 1]?.place;
      const inside = next && JSON.stringify(next) === JSON.stringify(place);
      const told = all.slice(0, i).findLast((other) => JSON.stringify(other.place) !== JSON.stringify(place))?.place;
      return row ? [{ row: this.describe(row, onItsWay), place: inside ? (told ?? start) : place }] : [];
    });
  }
}

/** So many, without the last group, which may go on beyond; of one that is larger, all of it. */
function wholeGroups<T>(fetch: (most: number) => T[], limit: number, groupOf: (item: T) => string): T[] {
  for (let most = limit; ; most *= 4) {
    const items = fetch(most);
    const last = items.at(-1);
    if (last === undefined || items.length < most) return items;
    const whole = items.filter((item) => groupOf(item) !== groupOf(last));
    if (whole.length > 0) return whole;
  }
}

const same = (a: string, b: string): boolean => a.toLowerCase() === b.toLowerCase();

function flagsOf(row: CertificateRow): Flag[] {
  return JSON.parse(row.flags) as Flag[];
}

/** Anybody may mint: with other readings of the same hour it is another number, which the chain then holds. */
function otherReadings(row: Row, { amounts, firstSlot }: Record<string, unknown>): string | null {
  const certified = Number((amounts as unknown[])[(row.slot - Number(firstSlot)) / HOUR]);
  return certified === row.wh ? null : `minted by somebody as ${certified} Wh, with other readings of this hour`;
}

const notMinted = (row: Row, state: CertificateState): EdgeError =>
  new EdgeError('CREDIT_NOT_MINTED', `${row.id} is ${state}${row.code ? ` (${row.code}: ${row.detail})` : ''}`);

/** Of the event Minted, whose arguments have these names. */
function mintFields(data: Record<string, unknown>): Omit<MintRecord, 'chainId' | 'contract' | 'transaction' | 'block'> {
  const number = (name: string): number => Number(data[name]);
  return {
    id: `0x${String(data.id).slice(2).padStart(64, '0')}`,
    meteringPoint: String(data.meteringPoint),
    device: String(data.device),
    owner: String(data.owner),
    firstSlot: number('firstSlot'),
    minted: number('minted'),
    debited: number('debited'),
    startRegister: number('startRegister'),
    endRegister: number('endRegister'),
    amounts: (data.amounts as unknown[]).map(Number),
  };
}

/** Of the events ClaimSingle and Claimed. */
function claimed({
  data,
  claimed: said,
}: ClaimEvent): Pick<ClaimRecord, 'holder' | 'purpose' | 'beneficiary' | 'recipient'> {
  return {
    holder: String(data.holder),
    purpose: PURPOSES[Number(data.topic)] ?? 'own-use',
    beneficiary: String(said.beneficiary ?? ZERO_HASH),
    recipient: String(said.recipient ?? ''),
  };
}
