/**
 * Certificates and credits, put together: the certifier makes rows of what it reads in the log (credits/), the minter
 * sends what is ready (chain/minter.ts), and the follower reads what became of it (chain/credit-events.ts). They know of
 * each other through the rows alone; so a restart, a reorg and a chain that is away need nothing of their own.
 */
import { sign } from 'node:crypto';
import type { ApiParts, Sample } from './api/parts.ts';
import type { Caps } from './caps.ts';
import { type CreditWallet, certificateParts } from './certificates.ts';
import type { Batch } from './chain/batch.ts';
import { commitment } from './chain/commitment.ts';
import type { CreditEventsFollower, CreditEventsState } from './chain/credit-events.ts';
import { CreditTransactions } from './chain/credit-transactions.ts';
import type { Minter, MinterState } from './chain/minter.ts';
import type { ChainPlace } from './chain/place.ts';
import type { Registrar } from './chain/registrar.ts';
import type { Config } from './config.ts';
import { creditDocuments } from './credit-documents.ts';
import { creditSamples } from './credit-samples.ts';
import { certificateSchema } from './credits/certificate.ts';
import { Certifier, type ChainWord } from './credits/certifier.ts';
import { batchesOf, residualBatch, slotsOf } from './credits/due.ts';
import { CERTIFIED_KINDS } from './credits/gather.ts';
import { monthInHurry } from './credits/rec/rec.ts';
import { dayOf } from './credits/time.ts';
import type { Fixed } from './credits/types.ts';
import { type EdgeError, errorLine } from './errors.ts';
import type { Identity } from './identity.ts';
import type { Stamp } from './intake/clock.ts';
import type { Log } from './log/log.ts';
import type { People } from './people.ts';
import { CreditEvents } from './store/credit-events.ts';
import { CreditNews } from './store/credit-news.ts';
import { CreditRows, saveCertificate, saveResidual } from './store/credits.ts';
import type { Device, Devices } from './store/devices.ts';
import type { Entries } from './store/entries.ts';
import { MAX_BLOCKS } from './store/followed.ts';
import type { Registration } from './store/registrations.ts';
import { type Store, setMeta } from './store/store.ts';
import { Successions } from './store/successions.ts';
import { DAY, HOUR } from './wire/boundary.ts';
import type { Signer } from './wire/vc/proof.ts';

type Hex = `0x${string}`;

/** Certificates and residuals that are looked at for sending at once. */
const MOST_READY = 5_000;
const MOST_RESIDUALS = 100;

export type CreditingParts = {
  config: Config;
  identity: Identity;
  log: Log;
  store: Store;
  entries: Entries;
  devices: Devices;
  caps: Caps;
  now: () => Stamp;
  /** What the city's registry holds of a device. */
  registered: (device: Device) => Registration | undefined;
  /** Entries under the newest root that the chain holds of this log. */
  anchoredSize: () => number;
  report: (line: string) => void;
};

/** Where credits are, for who acts with the gateway's own account. */
export type CreditPlaces = {
  rpc: string;
  chainId: number;
  credits: Hex;
  krw: Hex | undefined;
  market: Hex | undefined;
  account: Hex;
  secretKey: Uint8Array;
  /** Issues the mock of deposit money, on the embedded chain. */
  issue: ((to: Hex, amount: bigint) => Promise<void>) | undefined;
};

export type CreditingState = {
  account: string;
  contract: string;
  chainId: number;
  reachable: boolean;
  block: number | null;
  pending: number;
  problem: string | undefined;
};

export class Crediting {
  readonly #p: CreditingParts;
  readonly rows: CreditRows;
  readonly events: CreditEvents;
  readonly transactions: CreditTransactions;
  readonly certifier: Certifier;
  #follower: CreditEventsFollower | undefined;
  minter: Minter | undefined;
  #places: CreditPlaces | undefined;
  #wallet: CreditWallet | undefined;
  #starting: Promise<void> | undefined;
  #stopped = false;
  #timer: NodeJS.Timeout | undefined;
  /** As it was when it was looked at last, and the day on which it was said last. */
  #recAlarm: string | undefined;
  #recAlarmSaid = '';
  /** Newest block of events whose points were looked at again. */
  #seenBlock = 0;
  /** Certificates that are sent by themselves, because one of those they went with was refused. */
  readonly #alone = new Set<string>();
  /** Certificates, or what the chain says of them, have changed. */
  onChanged: () => void = () => undefined;

  constructor(parts: CreditingParts) {
    const { config, log, store, entries, devices, now, report } = parts;
    this.#p = parts;
    this.rows = new CreditRows(store);
    this.events = new CreditEvents(store);
    this.transactions = new CreditTransactions(store);
    this.events.onChanged = () => this.#chainChanged();
    const changed = devices.onChanged;
    devices.onChanged = (device) => {
      changed(device);
      if (!CERTIFIED_KINDS.has(device.kind)) return;
      this.#follower?.wake(); // its modulus, its key
      this.certifier.reconsider(device.sub);
    };
    this.certifier = new Certifier({
      ...{ log, store, entries, devices, now, report },
      rows: this.rows,
      successions: new Successions(store),
      place: { lat: config.credits.lat, lon: config.credits.lon },
      pointId: commitment,
      chainWord: (point, from, until) => this.#chainWord(point, from, until),
      onChanged: () => {
        this.minter?.wake();
        this.onChanged();
      },
    });
  }

  /** Whether there is anything that makes credits. */
  static wanted({ credits, chain }: Config): boolean {
    return credits.enabled && (chain.mode === 'embedded' || (chain.mode === 'rpc' && chain.credits !== ''));
  }

  get wallet(): CreditWallet | undefined {
    return this.#wallet;
  }

  get places(): CreditPlaces | undefined {
    return this.#places;
  }

  get state(): CreditingState | undefined {
    if (!this.#follower || !this.minter) return undefined;
    const followed: CreditEventsState = this.#follower.state;
    const minted: MinterState = this.minter.state;
    return {
      account: minted.account,
      contract: followed.contract,
      chainId: followed.chainId,
      reachable: followed.reachable,
      block: followed.block,
      pending: minted.pending,
      problem: followed.problem ?? minted.problem,
    };
  }

  /** Certificates that are minted and stand; their Wh, and those of residuals; slots that a rule or the contract refused. */
  summary(): { certificates: number; mintedWh: number; refusedMints: number } {
    const { minted, mintedWh, residualWh, refused } = this.rows.counts();
    return { certificates: minted, mintedWh: mintedWh + residualWh, refusedMints: refused };
  }

  /** What is to be said of RECs: energy of a month that nobody has applied for, with the last day near. */
  recAlarm(): string | undefined {
    const { config, now } = this.#p;
    const hurry = monthInHurry(Math.floor(now().receivedMs / 1000), config.credits.recAlarmDays);
    if (!hurry || !now().clockSynced) return undefined;
    const { month, from, until, due } = hurry;
    const left = this.rows
      .points()
      .map((point) => this.rows.leftWh(commitment(point), from, until))
      .filter((wh) => wh > 0);
    if (left.length === 0) return undefined;
    const wh = left.reduce((sum, n) => sum + n, 0);
    return (
      `RECs of ${month} can be applied for until ${due.applyBy} (${due.daysLeft} days): ${wh} Wh of ${left.length} ` +
      `metering point${left.length === 1 ? '' : 's'} are not claimed (sejong-edge credits rec ${month} --metering-point URN)`
    );
  }

  #sayRecAlarm(): void {
    this.#recAlarm = this.recAlarm();
    const today = new Date(this.#p.now().receivedMs).toISOString().slice(0, 10);
    if (this.#recAlarm === undefined || today === this.#recAlarmSaid) return;
    this.#recAlarmSaid = today;
    this.#p.report(`credits: ${this.#recAlarm}`);
  }

  /** From here on certificates are made, chain or not. */
  start(): void {
    this.#timer = setInterval(() => this.#sayRecAlarm(), HOUR * 1000);
    this.#sayRecAlarm();
    this.#seenBlock = this.events.blocks()[0]?.number ?? 0;
    this.certifier.start();
  }

  /**
   * @param registrar of the embedded chain, where the gateway deploys the contracts; else they are those of the config
   * @param withinMs how long it may wait for the first word of the chain
   * @throws EdgeError CHAIN_WRONG, CONFIG_INVALID, CHAIN_PROGRAM
   */
  follow(place: ChainPlace, anchors: string, registrar: Registrar | undefined, withinMs: number): Promise<void> {
    this.#starting = this.#follow(place, anchors, registrar, withinMs);
    this.#starting.catch(() => undefined); // whoever started it hears of it
    return this.#starting;
  }

  async #follow(place: ChainPlace, anchors: string, registrar: Registrar | undefined, withinMs: number): Promise<void> {
    const { CreditEventsFollower } = await import('./chain/credit-events.ts');
    const { claimData, claimResidualData, creditAddresses, PURPOSES, withdrawData } = await import(
      './chain/credits-contract.ts'
    );
    const { rpcClient } = await import('./chain/rpc.ts');
    const { accountOf, Wallet } = await import('./chain/wallet.ts');
    const { Minter } = await import('./chain/minter.ts');
    const { config, identity, log, entries, caps, anchoredSize, report } = this.#p;
    const c = config.chain;
    const { rpc, chainId } = await place.find();
    const secretKey = identity.creditsKey();
    const account = accountOf(secretKey);
    const own = creditAddresses(account);
    const at = registrar
      ? own
      : { credits: c.credits as Hex, krw: undefined, market: c.market === '' ? undefined : (c.market as Hex) };
    if (this.#stopped) return;
    const issue = registrar && ((to: Hex, amount: bigint) => registrar.issue(rpcClient(rpc), own.krw, to, amount));
    this.#places = { rpc, chainId, ...at, account, secretKey, issue };
    const { events } = this;
    this.#follower = new CreditEventsFollower(events, {
      ...{ rpc, chainId, credits: at.credits, market: at.market, fromBlock: c.creditsFromBlock, report },
      pollSeconds: c.pollSeconds,
      maxEvents: c.maxCreditEvents,
      onTooMany: () => caps.hit('chain.maxCreditEvents'),
      deployer: registrar && {
        ...{ secretKey, anchors: anchors as Hex, devices: registrar.contract, bank: registrar.address },
      },
      ...(registrar ? { push: (client: unknown) => registrar.pushToCredits(client as never, at.credits, events) } : {}),
    });
    this.minter = new Minter({
      ...{ rpc, chainId, credits: at.credits, secretKey, origin: log.origin, anchoredSize, report },
      ...{ confirmations: c.confirmations, stuckSeconds: c.stuckSeconds, maxFeeGwei: c.maxFeeGwei },
      ...{ pollSeconds: c.pollSeconds, everySeconds: config.credits.everySeconds, transactions: this.transactions },
      due: (size) => this.due(size),
      envelope: (index) => entries.get(index)?.envelope ?? new Uint8Array(0),
      proof: (indexes, size) => log.multiProof(indexes, size),
      isFollowed: (block) => (this.#follower?.state.block ?? -1) >= block,
      onRefused: (batch, error) => this.#refused(batch, error),
      onMoved: () => this.#follower?.wake(),
    });
    const { minter } = this;
    const reader = new Wallet({ rpc, chainId, credits: at.credits, secretKey });
    this.#wallet = {
      account,
      balanceOf: (token) => reader.creditsOf(token),
      claim: (lines, beneficiary, purpose, recipient) => {
        const of = lines.map((line) => ({ ...line, meteringPoint: line.meteringPoint as Hex }));
        const data = claimData(of, beneficiary as Hex, PURPOSES[purpose] as (typeof PURPOSES)[number], recipient);
        const wh = lines.reduce((sum, line) => sum + line.wh, 0);
        return minter.send('claim', at.credits, data, { text: `the claim of ${wh} Wh`, lines, beneficiary, purpose });
      },
      claimResidual: (point, month, wh, beneficiary, purpose, recipient) => {
        const named = PURPOSES[purpose] as (typeof PURPOSES)[number];
        const data = claimResidualData(point as Hex, month, wh, beneficiary as Hex, named, recipient);
        const about = { text: `the claim of ${wh} Wh of a month's gaps`, point, month, wh, beneficiary, purpose };
        return minter.send('claim', at.credits, data, about);
      },
      withdraw: (point, day, reason) => {
        const about = { text: `the withdrawal of day ${day} of ${point}`, point, day };
        return minter.send('withdraw', at.credits, withdrawData(point as Hex, day, reason), about);
      },
    };
    await this.#follower.start(withinMs);
    if (!this.#stopped) minter.start();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearInterval(this.#timer);
    await this.#starting?.catch(() => undefined);
    await this.minter?.stop();
    await this.#follower?.stop();
    await this.certifier.stop();
  }

  health(): { ok: boolean; detail: string } {
    const { ready, refused, minted } = this.rows.counts();
    const counts = `${minted} certificates minted, ${ready} ready, ${refused} refused`;
    const state = this.state;
    if (!state) return { ok: true, detail: `${counts}; the chain has not answered yet` };
    const alarm = this.#recAlarm === undefined ? '' : `; ${this.#recAlarm}`;
    return {
      ok: state.reachable && state.problem === undefined && this.#recAlarm === undefined,
      detail: `${counts}${alarm}; ${state.problem ?? `${state.contract} at block ${state.block ?? 0}, ${state.pending} transactions on their way`}`,
    };
  }

  /** New entries. */
  grown(): void {
    this.certifier.wake();
  }

  /** More of the log is anchored. */
  anchored(): void {
    this.#follower?.wake();
    this.minter?.wake();
  }

  /** The chain has another word on certificates. */
  #chainChanged(): void {
    for (const { point, slot } of this.rows.touchedSince(this.#seenBlock)) {
      const sub = this.#subOf(point);
      if (sub !== undefined) this.certifier.touch(sub, slot - DAY);
    }
    const [head, before] = this.events.blocks();
    this.#seenBlock = head?.number ?? 0;
    void this.#settleRows(this.#seenBlock - MAX_BLOCKS, before === undefined);
    this.minter?.wake();
    this.onChanged();
  }

  /** @param anew nothing is left of what was known of the chain before */
  async #settleRows(block: number, anew: boolean): Promise<void> {
    try {
      await this.rows.write([...(anew ? this.rows.unsettle() : []), ...this.rows.settleUntil(block)]);
    } catch (error) {
      this.#p.report(`credits: ${errorLine(error)}`); // only what is looked at grows
    }
  }

  #subOf(point: string): string | undefined {
    return this.#p.devices.list().find(({ kind, sub }) => CERTIFIED_KINDS.has(kind) && commitment(sub) === point)?.sub;
  }

  /** @param point URN */
  #chainWord(point: string, from: number, until: number): ChainWord {
    const fixed: Fixed[] = [];
    const taken = new Set<number>();
    const pointId = commitment(point);
    const byId = new Map(this.#p.devices.list().map(({ did, sub }) => [sub === point ? commitment(did) : '', did]));
    const versions = this.rows.versions(pointId, dayOf(from), dayOf(until));
    for (const { event, slot, version, data } of this.rows.chainWord(pointId, from, until)) {
      const d = JSON.parse(data) as { device: string; startRegister: number; endRegister: number } & (
        | { firstSlot: number; amounts: number[]; skipped?: number[] }
        | { from: number; until: number }
      );
      const [start, end] = 'amounts' in d ? [d.firstSlot, d.firstSlot + d.amounts.length * HOUR] : [d.from, d.until];
      const device = byId.get(d.device) ?? '';
      if (!fixed.some((f) => f.at === start)) fixed.push({ at: start, registerWh: d.startRegister, device });
      if (!fixed.some((f) => f.at === end)) fixed.push({ at: end, registerWh: d.endRegister, device });
      if (event === 'ResidualMinted') for (let at = start; at < end; at += HOUR) taken.add(at);
      else if (version === (versions.get(dayOf(slot)) ?? 0)) {
        taken.add(slot);
        // Hours of nothing that were certified with it have no row of their own.
        if ('amounts' in d)
          for (const [i, wh] of d.amounts.entries())
            if (wh === 0 && !d.skipped?.includes(i)) taken.add(d.firstSlot + i * HOUR);
      }
    }
    for (const { purpose, about } of this.minter?.inFlight() ?? [])
      if (purpose === 'mint' && about.point === pointId)
        for (const slot of slotsOf(about as unknown as Pick<Batch, 'kind' | 'slots'>)) taken.add(slot);
    return { fixed, taken, versions, chargedWh: this.rows.chargedWh(pointId) };
  }

  /** What can be sent now, oldest first. @param size entries under the anchored root */
  due(size: number): Batch[] {
    const onItsWay = this.onItsWay();
    const mayGo = (r: { device: number; endIdx: number; startIdx: number; pointId: string }, slot: number): boolean =>
      r.startIdx < size && r.endIdx < size && !onItsWay.has(`${r.pointId} ${slot}`) && this.#mayMint(r.device);
    // What was withdrawn goes out again only when an operator has looked at what it is now.
    const ready = this.rows
      .ready(MOST_READY)
      .filter((c) => mayGo(c, c.slot) && (c.version === 0 || this.#mayReissue(c.pointId, dayOf(c.slot), c.version)));
    const until = Math.floor(this.#p.now().receivedMs / 1000) - this.#p.config.credits.residualDays * DAY;
    const residuals = this.rows.readyResiduals(until, MOST_RESIDUALS).filter((r) => mayGo(r, r.fromAt));
    const issOf = (id: number): string => this.#p.devices.byId(id)?.did ?? '';
    return [...batchesOf(ready, this.#alone, issOf), ...residuals.map((r) => residualBatch(r, issOf))];
  }

  #mayReissue(point: string, day: number, version: number): boolean {
    return this.#p.store.meta(reissueKey(point, day, version)) !== undefined;
  }

  /** An operator lets a withdrawn day be certified again, as this version. @param point its commitment */
  async reissue(point: string, day: number, version: number): Promise<void> {
    await this.rows.write([setMeta(reissueKey(point, day, version), '1')]);
    this.minter?.wake();
  }

  /** The registry, as far as it was followed, lets it. */
  #mayMint(id: number): boolean {
    const device = this.#p.devices.byId(id);
    const held = device && this.#p.registered(device);
    return held !== undefined && (held.status === 'active' || held.status === 'replaced') && !/^0x0*$/.test(held.owner);
  }

  /** What the contract does not take is refused, slot by slot: those it went with are tried by themselves. */
  async #refused(batch: Batch, { code, detail }: EdgeError): Promise<void> {
    const { kind, sub, slots } = batch;
    const refusal = { state: 'refused', code, detail, madeMs: Date.now() } as const;
    if (kind === 'residual') {
      const [from, until] = slots as [number, number];
      const rows = this.rows.residualsOf(sub, from, until).filter((r) => r.fromAt === from && r.untilAt === until);
      await this.rows.write(rows.map((r) => saveResidual({ ...r, ...refusal })));
      return;
    }
    const held = this.rows.certificatesOf(sub, slots[0] as number, (slots.at(-1) as number) + HOUR);
    const rows = held.filter((c) => slots.includes(c.slot) && c.state === 'ready' && c.mintBlock === null);
    if (kind === 'slots' && rows.length > 1) {
      for (const { id } of rows) this.#alone.add(id);
      this.minter?.wake();
      return;
    }
    await this.rows.write(rows.map((c) => saveCertificate({ ...c, ...refusal })));
    this.onChanged();
  }

  /** Slots that transactions which are not mined yet certify: the point's commitment, a space, the slot. */
  onItsWay(): Set<string> {
    const slots = new Set<string>();
    for (const { purpose, about } of this.minter?.inFlight() ?? [])
      if (purpose === 'mint')
        for (const slot of slotsOf(about as unknown as Pick<Batch, 'kind' | 'slots'>))
          slots.add(`${String(about.point)} ${slot}`);
    return slots;
  }

  /** Wh of a slot that claims which are not mined yet will take. @param point its commitment */
  claiming(point: string, slot: number): number {
    const lines = (this.minter?.inFlight() ?? []).flatMap(({ purpose, about }) =>
      purpose === 'claim' ? ((about.lines ?? []) as { meteringPoint: string; slot: number; wh: number }[]) : [],
    );
    return lines.reduce((sum, l) => sum + (l.meteringPoint === point && l.slot === slot ? l.wh : 0), 0);
  }

  samples(): Sample[] {
    return creditSamples(this.rows.counts(), {
      pending: this.minter?.state.pending ?? 0,
      lag: this.#p.log.size - this.certifier.next,
    });
  }
}

const reissueKey = (point: string, day: number, version: number): string => `reissue ${point} ${day} ${version}`;

/** What the API says of certificates; undefined where there are none. */
export function creditParts(
  crediting: Crediting | undefined,
  o: Pick<CreditingParts, 'config' | 'identity' | 'log' | 'store' | 'entries' | 'devices'> &
    Pick<ApiParts, 'anchorCovering'> & { people: People },
): Pick<ApiParts, 'credits' | 'certificateSchema'> {
  const { config, identity, log, store, entries, devices, anchorCovering, people } = o;
  if (!crediting) return { certificateSchema: certificateSchema() };
  const gateway: Signer = {
    did: identity.did,
    sign: (bytes) => new Uint8Array(sign(null, bytes, identity.keys.privateKey)),
  };
  const news = new CreditNews(store);
  const shared = { log, entries, devices, gateway, anchorCovering };
  const credits = certificateParts({
    ...{ ...shared, rows: crediting.rows, news },
    area: config.credits.area || null,
    contract: () => crediting.places,
    wallet: () => crediting.wallet,
    onItsWay: () => crediting.onItsWay(),
    claiming: (point, slot) => crediting.claiming(point, slot),
    reissue: (point, day, version) => crediting.reissue(point, day, version),
    note: (deed) => people.note(deed),
    documents: creditDocuments({ ...shared, rows: crediting.rows, news }),
  });
  return { credits, certificateSchema: certificateSchema() };
}
