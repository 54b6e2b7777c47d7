/** What the demo says of plants and their certificates: each thing once, in a plain line. */
import type { CreditPlaces } from '../crediting.ts';
import type { Gateway } from '../gateway.ts';
import type { CertificateRow, CreditRows, Minted, ResidualRow } from '../store/credits.ts';
import type { Device } from '../store/devices.ts';

/** What of the gateway's crediting is looked at. */
export type Crediting = {
  rows: Pick<CreditRows, 'list' | 'residuals' | 'boundaries'>;
  summary: () => { certificates: number; mintedWh: number; refusedMints: number };
  readonly places: CreditPlaces | undefined;
};

type Certificate = CertificateRow & Minted;

const HOUR = 3600;
/** Certificates of hours before this are none of this run's. */
const LOOK_BACK = 3 * 86_400;
const MOST = 2000;

const n = (x: number): string => x.toLocaleString('en-US');
const hour = (slot: number): string => new Date(slot * 1000).toISOString().slice(0, 13).replace('T', ' ');
const count = (k: number, what: string): string => `${n(k)} ${what}${k === 1 ? '' : 's'}`;
const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);

/** 04Z; 22Z to 03Z: as few words as tell which hours. */
function hours(slots: readonly number[]): string {
  const first = Math.min(...slots);
  const last = Math.max(...slots);
  const isRun = slots.length === (last - first) / HOUR + 1;
  const z = (slot: number): string => `${hour(slot).slice(11)}Z`;
  if (first === last) return `${hour(first)}Z`;
  return isRun ? `${hour(first)}Z to ${z(last)}` : `${hour(first)}Z to ${z(last)}, not all`;
}

/** What sort of credit plant the simulator says that a device is. */
export const sortOf = (label: string | null): string | undefined => /^credit plant (\w+): /.exec(label ?? '')?.[1];

export class Plants {
  readonly #devices: () => readonly Device[];
  readonly #crediting: Crediting;
  readonly #say: (line: string) => void;
  readonly #since: number;
  readonly #told = new Set<string>();
  /** Refusals of the last look: told when they are the same in the next. */
  #refusals = new Map<string, string>();

  /** What is minted already was told in an earlier run. @param now Unix seconds */
  constructor(gateway: Gateway, crediting: Crediting, say: (line: string) => void, now: number) {
    this.#devices = () => gateway.parts.devices.list();
    this.#crediting = crediting;
    this.#say = say;
    this.#since = now - LOOK_BACK;
    this.#look(() => undefined);
  }

  /** Who comes online with a day of readings. */
  introduce(): void {
    const sorts = new Map<string, string>();
    for (const { label } of this.#devices()) {
      const said = /^credit plant (\w+): (.*) \(simulated\)$/.exec(label ?? '');
      if (said) sorts.set(said[1] as string, said[2] as string);
    }
    const list = Array.from(sorts, ([sort, what]) => (sort === what ? sort : `${sort} (${what})`));
    this.#say(`plants  ${list.length} come online after a day without a link: ${list.join(', ')}`);
  }

  look(): void {
    this.#look((name, line) => this.#say(`credits ${name.padEnd(9)} ${line}`));
  }

  #look(say: (name: string, line: string) => void): void {
    const once = (key: string, name: string, line: string): void => {
      if (this.#told.has(key)) return;
      this.#told.add(key);
      say(name, line);
    };
    const names = this.#names();
    const certificates = this.#crediting.rows.list({ from: this.#since, limit: MOST });
    for (const [point, rows] of Map.groupBy(certificates, (c) => c.point)) {
      const name = names.get(point)?.name ?? point.split(':').at(-1) ?? point;
      const minted = rows.filter((c) => c.mintTx !== null);
      for (const [tx, of] of Map.groupBy(minted, (c) => c.mintTx as string))
        once(`${tx} ${point}`, name, mintLine(tx, of));
      for (const c of minted)
        if (c.endWh < c.startWh)
          once(
            `fell ${c.id}`,
            name,
            `its register began anew at ${hour(c.slot)}Z, from ${n(c.startWh)} to ${n(c.endWh)} Wh: ${n(c.wh)} Wh, minted like any hour's`,
          );
      this.#refused(point, name, rows, once);
      if (names.get(point)?.sort === 'duplicate') this.#duplicate(point, name, minted, once);
    }
    for (const r of this.#crediting.rows.residuals(undefined, MOST))
      if (r.fromAt >= this.#since)
        once(`residual ${r.point} ${r.fromAt} ${r.mintTx}`, names.get(r.point)?.name ?? r.point, residualLine(r));
  }

  /** Told when no more of the kind came since the last look: one line for all hours. */
  #refused(
    point: string,
    name: string,
    rows: readonly Certificate[],
    once: (key: string, name: string, line: string) => void,
  ): void {
    const refused = rows.filter((c) => c.state === 'refused' && c.mintTx === null);
    for (const [code, of] of Map.groupBy(refused, (c) => c.code ?? '')) {
      const key = `${point} ${code}`;
      const slots = of.map((c) => c.slot);
      const now = slots.join();
      const most = of.reduce((a, b) => (b.wh > a.wh ? b : a));
      if (this.#refusals.get(key) === now)
        once(`${key} ${now}`, name, `refused ${count(of.length, 'hour')} (${hours(slots)}), ${code}: ${most.detail}`);
      this.#refusals.set(key, now);
    }
  }

  #duplicate(
    point: string,
    name: string,
    rows: readonly Certificate[],
    once: (key: string, name: string, line: string) => void,
  ): void {
    const minted = rows.filter((c) => c.mintTx !== null);
    if (minted.length === 0 || rows.some((c) => c.mintTx === null && c.state === 'ready')) return;
    const readings = this.#crediting.rows.boundaries(point, this.#since, Number.MAX_SAFE_INTEGER);
    const twice = [...Map.groupBy(readings, (b) => b.at).values()].filter(({ length }) => length > 1);
    const slots = new Set(minted.map((c) => c.slot));
    if (twice.length < slots.size) return;
    once(
      `twice ${point}`,
      name,
      `its day came twice (${n(sum(twice.map(({ length }) => length)))} readings of ${count(twice.length, 'full hour')}), and each hour was minted once: ${count(slots.size, 'certificate')}, ${n(sum(minted.map((c) => c.wh)))} Wh`,
    );
  }

  /** What the simulator called them, by metering point. */
  #names(): Map<string, { sort: string; name: string }> {
    const names = new Map<string, { sort: string; name: string }>();
    for (const { sub, label } of this.#devices()) {
      const sort = sortOf(label);
      const name = sort ?? /^(\S+) \(simulated\)$/.exec(label ?? '')?.[1];
      if (name) names.set(sub, { sort: sort ?? '', name });
    }
    return names;
  }
}

function mintLine(tx: string, of: readonly Certificate[]): string {
  const wh = sum(of.map((c) => c.mintedWh ?? 0));
  const debt = sum(of.map((c) => c.wh)) - wh;
  const first = of[0] as Certificate;
  return (
    `${count(of.length, 'certificate')} (${hours(of.map((c) => c.slot))}), ${n(wh)} Wh minted in block ${first.mintBlock}, transaction ${tx}` +
    `${debt > 0 ? `; ${n(debt)} Wh taken off for what was too much before` : ''}; the first is ${first.id}`
  );
}

function residualLine(r: ResidualRow & Minted): string {
  const span = `${hour(r.fromAt)}Z to ${hour(r.untilAt).slice(11)}Z`;
  const what = `${n(r.wh)} Wh of ${span} are of no hour (${r.reason})`;
  return r.mintTx === null
    ? `${what}: a residual, never a certificate`
    : `${what}: minted as a residual of the month, transaction ${r.mintTx}`;
}
