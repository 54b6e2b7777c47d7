/**
 * The devices that are enrolled, and how far each one's counter has come. Held in memory whole (about 1 KB a
 * device), because each envelope asks for one; written through the store.
 */
import { EdgeError } from '../errors.ts';
import { CounterState, type Range } from './counters.ts';
import type { SqlStatement, Store } from './store.ts';

export type Custody = 'device' | 'gateway';
export type DeviceStatus = 'active' | 'suspended' | 'revoked' | 'replaced';

export type Device = {
  readonly id: number;
  readonly did: string;
  readonly kind: string;
  readonly custody: Custody;
  /** URN of the metering point or vehicle. */
  readonly sub: string;
  readonly owner: string | null;
  readonly capacityW: number | null;
  readonly energySource: string | null;
  /** Where its register begins anew, in Wh; null: it never does, and one that falls is no reading. */
  readonly registerModulusWh: number | null;
  readonly label: string | null;
  status: DeviceStatus;
  replacedBy: string | null;
  /** SHA-256 of the login secret, for custody gateway. */
  readonly secretHash: Uint8Array | null;
  readonly enrolledMs: number;
  updatedMs: number;
  counter: CounterState;
};

export type NewDevice = Pick<Device, 'did' | 'kind' | 'custody' | 'sub'> &
  Partial<Pick<Device, 'owner' | 'capacityW' | 'energySource' | 'registerModulusWh' | 'label' | 'secretHash'>>;

/** What may follow what: revoked and replaced are final. */
const NEXT: Record<DeviceStatus, readonly DeviceStatus[]> = {
  active: ['suspended', 'revoked', 'replaced'],
  suspended: ['active', 'revoked', 'replaced'],
  revoked: [],
  replaced: [],
};

export const FINAL_STATUSES: ReadonlySet<DeviceStatus> = new Set(['revoked', 'replaced']);

/** @param hasModulus databases of an earlier data format have no such column */
export const deviceColumns = (hasModulus: boolean): string => `id, did, kind, custody, sub, owner,
  capacity_w AS capacityW, energy_source AS energySource,
  ${hasModulus ? 'register_modulus_wh' : 'NULL'} AS registerModulusWh, label, status, replaced_by AS replacedBy,
  secret_hash AS secretHash, enrolled_ms AS enrolledMs, updated_ms AS updatedMs`;

type Row = Omit<Device, 'counter'> & {
  epoch: number | null;
  seq: number;
  gaps: string;
  entries: number;
  lastIdx: number;
  lastMs: number;
};

/** Makes one change durable, alone or together with something that is to stand or fall with it. */
export type Commit = (statement: SqlStatement) => Promise<void>;

export class Devices {
  readonly #store: Store;
  readonly #byDid = new Map<string, Device>();
  readonly #byId: Device[] = [];
  readonly #enrolling = new Set<string>();
  #nextId = 0;
  /** Called when a device was enrolled or has another status, once that is on disk. */
  onChanged: (device: Device) => void = () => undefined;
  #changing: Promise<unknown> = Promise.resolve();

  constructor(store: Store) {
    this.#store = store;
  }

  start(): void {
    const rows = this.#store.all<Row>(`SELECT ${deviceColumns(true)},
      epoch, seq, gaps, entries, last_idx AS lastIdx, last_ms AS lastMs
      FROM devices LEFT JOIN counters ON counters.device = devices.id ORDER BY id`);
    for (const { epoch, seq, gaps, entries, lastIdx, lastMs, ...device } of rows) {
      const counter =
        epoch === null
          ? CounterState.fresh
          : new CounterState({ epoch, seq, gaps: JSON.parse(gaps) as Range[], entries, lastIdx, lastMs });
      this.#keep({ ...device, counter });
    }
  }

  #keep(device: Device): void {
    this.#byDid.set(device.did, device);
    this.#byId[device.id] = device;
    this.#nextId = Math.max(this.#nextId, device.id + 1);
  }

  get(did: string): Device | undefined {
    return this.#byDid.get(did);
  }

  byId(id: number): Device | undefined {
    return this.#byId[id];
  }

  get count(): number {
    return this.#byDid.size;
  }

  list(): Device[] {
    return this.#byId.filter((d) => d !== undefined);
  }

  /** @throws EdgeError DEVICE_EXISTS, STORE_UNAVAILABLE */
  async enrol(device: NewDevice, nowMs: number, commit?: Commit): Promise<Device> {
    const { did } = device;
    if (this.#byDid.has(did) || this.#enrolling.has(did)) throw new EdgeError('DEVICE_EXISTS', did);
    const kept: Device = {
      owner: null,
      capacityW: null,
      energySource: null,
      registerModulusWh: null,
      label: null,
      secretHash: null,
      ...device,
      id: this.#nextId++,
      status: 'active',
      replacedBy: null,
      enrolledMs: nowMs,
      updatedMs: nowMs,
      counter: CounterState.fresh,
    };
    this.#enrolling.add(did); // so that a second request at once sees it
    try {
      await this.#write(
        saveDevice(kept),
        () => this.#store.get('SELECT 1 FROM devices WHERE id = ? AND did = ?', kept.id, did) !== undefined,
        commit,
      );
    } finally {
      this.#enrolling.delete(did);
    }
    this.#keep(kept);
    this.onChanged(kept);
    return kept;
  }

  /** @throws EdgeError STATE_CONFLICT, DEVICE_UNKNOWN, STORE_UNAVAILABLE */
  setStatus(
    did: string,
    status: DeviceStatus,
    nowMs: number,
    replacedBy: string | null = null,
    commit?: Commit,
  ): Promise<Device> {
    // One after the other: whether a status may follow is decided by the one that is on disk.
    const changed = this.#changing.then(() => this.#setStatus(did, status, nowMs, replacedBy, commit));
    this.#changing = changed.catch(() => undefined);
    return changed;
  }

  async #setStatus(
    did: string,
    status: DeviceStatus,
    nowMs: number,
    replacedBy: string | null,
    commit: Commit | undefined,
  ): Promise<Device> {
    const device = this.#byDid.get(did);
    if (!device) throw new EdgeError('DEVICE_UNKNOWN', did);
    if (!NEXT[device.status].includes(status))
      throw new EdgeError('STATE_CONFLICT', `${did} is ${device.status}, it cannot become ${status}`);
    await this.#write(
      {
        sql: 'UPDATE devices SET status = ?, replaced_by = ?, updated_ms = ? WHERE id = ?',
        params: [status, replacedBy, nowMs, device.id],
      },
      () => this.#store.get('SELECT 1 FROM devices WHERE id = ? AND status = ?', device.id, status) !== undefined,
      commit,
    );
    device.status = status;
    device.replacedBy = replacedBy;
    device.updatedMs = nowMs;
    this.onChanged(device);
    return device;
  }

  /** A write that failed may have happened: what is on disk decides. */
  async #write(
    statement: SqlStatement,
    isThere: () => boolean,
    commit: Commit = (alone) => this.#store.write({ name: 'device', statements: [alone] }),
  ): Promise<void> {
    try {
      await commit(statement);
    } catch (error) {
      if (!isThere()) throw error;
    }
  }
}

export const saveDevice = (d: Omit<Device, 'counter'>): SqlStatement => ({
  sql: `INSERT INTO devices (id, did, kind, custody, sub, owner, capacity_w, energy_source, register_modulus_wh, label,
    status, replaced_by, secret_hash, enrolled_ms, updated_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  params: [
    d.id,
    d.did,
    d.kind,
    d.custody,
    d.sub,
    d.owner,
    d.capacityW,
    d.energySource,
    d.registerModulusWh,
    d.label,
    d.status,
    d.replacedBy,
    d.secretHash,
    d.enrolledMs,
    d.updatedMs,
  ],
});

/** The statement that makes a counter durable, for the transaction of the entries that moved it. */
export const saveCounter = (device: number, c: CounterState): SqlStatement => ({
  sql: `INSERT INTO counters (device, epoch, seq, gaps, entries, last_idx, last_ms) VALUES (?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (device) DO UPDATE SET epoch = excluded.epoch, seq = excluded.seq, gaps = excluded.gaps,
    entries = excluded.entries, last_idx = excluded.last_idx, last_ms = excluded.last_ms`,
  params: [device, c.epoch, c.seq, JSON.stringify(c.gaps), c.entries, c.lastIdx, c.lastMs],
});
