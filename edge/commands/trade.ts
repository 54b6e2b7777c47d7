/**
 * What people of the demo do with certificates, once there are some: a plant's owner lists the energy of a day, a company
 * buys one hour of it and claims it, and the owner charges a battery with another. Their keys are their own, in the data
 * folder; the money is a mock.
 */
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { commitment } from '../chain/commitment.ts';
import type { ClaimLine } from '../chain/credits-contract.ts';
import { accountOf, Wallet } from '../chain/wallet.ts';
import { errorLine } from '../errors.ts';
import { writePrivate } from '../keystore.ts';
import type { CertificateRow, CreditRows, Minted } from '../store/credits.ts';

type Hex = `0x${string}`;
type Certificate = CertificateRow & Minted;

/** Where they trade. */
export type Places = {
  rpc: string;
  chainId: number;
  credits: Hex;
  krw: Hex;
  market: Hex;
  /** The mock bank issues deposit money, in base units. */
  issue: (to: Hex, amount: bigint) => Promise<void>;
};

/** Of the mock money, base units in a won, and the price of a Wh: 70 won for a kWh. */
const WON = 1_000_000n;
const PRICE = (70n * WON) / 1000n;
const DEPOSIT = 10_000n * WON;
const MOST = 2000;
/** It is tried again so often where something came between: a reorg, a restart of the chain. */
const TRIES = 5;

const n = (x: number | bigint): string => x.toLocaleString('en-US');
const day = (slot: number): string => new Date(slot * 1000).toISOString().slice(0, 10);
const short = (account: string): string => `${account.slice(0, 8)}...`;

type Keys = { owner: Uint8Array; company: Uint8Array };

export class Trade {
  readonly #keys: Keys;
  readonly #say: (line: string) => void;
  #tries = 0;
  #done = false;
  #busy = false;

  /** Opens the keys of this data folder, or makes them. */
  constructor(data: string, say: (line: string) => void) {
    this.#keys = openKeys(join(data, 'sim'));
    this.#say = say;
  }

  /** Who owns the plant whose energy is traded. */
  get owner(): Hex {
    return accountOf(this.#keys.owner);
  }

  /**
   * Trades, as soon as the plant has two certificates of one day; once in a run.
   * @param plant URN of its metering point @param battery of the storage plant's
   */
  async look(
    places: Places | undefined,
    rows: Pick<CreditRows, 'list'>,
    plant: string,
    battery: string,
  ): Promise<void> {
    if (this.#done || this.#busy || !places) return;
    const free = rows
      .list({ point: plant, state: 'minted', claimed: false, limit: MOST })
      .filter((c) => (c.mintedWh ?? 0) > 0 && c.mintedWh === c.wh);
    const offer = [...Map.groupBy(free, (c) => c.token).values()].toSorted((a, b) => b.length - a.length)[0];
    if (!offer || offer.length < 2) return;
    this.#busy = true;
    try {
      await this.#trade(places, offer, battery);
      this.#done = true;
    } catch (error) {
      this.#done = ++this.#tries === TRIES;
      this.#say(`trade   not now: ${errorLine(error)}`);
    } finally {
      this.#busy = false;
    }
  }

  async #trade(places: Places, offer: readonly Certificate[], battery: string): Promise<void> {
    const { rpc, chainId, credits, krw, market } = places;
    const [owner, company] = [this.#keys.owner, this.#keys.company].map(
      (secretKey) => new Wallet({ rpc, chainId, credits, krw, market, secretKey }),
    ) as [Wallet, Wallet];
    await Promise.all([owner.fund(), company.fund()]);
    const [bought, charged] = offer.toSorted((a, b) => b.wh - a.wh) as [Certificate, Certificate];
    const token = bought.token as string;
    const has = Number(await owner.creditsOf(token));

    const { listing, hash } = await owner.list(token, has, PRICE);
    this.#say(
      `trade   the plant's owner ${short(owner.address)} lists ${n(has)} Wh of ${day(bought.slot)} at 70 won for a kWh: listing ${listing}, transaction ${hash}`,
    );
    await places.issue(company.address, DEPOSIT);
    const trade = await company.buy(listing, bought.wh);
    const { left } = await company.listing(listing);
    this.#say(
      `trade   a company ${short(company.address)} buys ${n(bought.wh)} Wh of them for ${n(trade.paid / WON)} won of mock deposit money; ${n(left)} Wh stay listed, transaction ${trade.hash}`,
    );
    const claim = await company.claim([lineOf(bought)], commitment('a company of the demo') as Hex, 'k-re100');
    this.#say(
      `claim   and claims certificate ${bought.id}, ${n(bought.wh)} Wh, for K-RE100: burned for good, transaction ${claim.hash}`,
    );
    const charge = await owner.claim([lineOf(charged)], commitment(battery) as Hex, 'storage-charge');
    this.#say(
      `claim   the owner claims ${charged.id}, ${n(charged.wh)} Wh, to charge the battery: so much of what it gives can be certified, transaction ${charge.hash}`,
    );
  }
}

const lineOf = (c: Certificate): ClaimLine => ({ meteringPoint: c.pointId as Hex, slot: c.slot, wh: c.wh });

function openKeys(folder: string): Keys {
  const path = join(folder, 'accounts.json');
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  if (!existsSync(path)) {
    const made = { owner: randomBytes(32).toString('hex'), company: randomBytes(32).toString('hex') };
    writePrivate(path, `${JSON.stringify(made)}\n`);
  }
  const { owner, company } = JSON.parse(readFileSync(path, 'utf8')) as Record<keyof Keys, string>;
  const key = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'hex'));
  return { owner: key(owner), company: key(company) };
}
