/** The city's registry as it was followed from the chain (followed.ts): the events of the Devices contract, as rows. */
import { type DeviceStatus, FINAL_STATUSES } from './devices.ts';
import { type Block, bytesOf, type FollowedPlace, FollowedRows } from './followed.ts';
import type { SqlStatement, Store } from './store.ts';

/** Seconds since 1970; commitments, accounts and hashes in hex (0x...). `validUntil` is null where it is for ever. */
type Period = { validFrom: number; validUntil: number | null };
type Said =
  | ({
      event: 'registered';
      meteringPoint: string;
      owner: string;
      kind: string;
      energySource: string;
      capacityW: number;
      custody: 'device' | 'gateway';
    } & Period)
  | ({ event: 'amended'; owner: string; energySource: string; capacityW: number } & Period)
  | { event: 'status'; status: DeviceStatus; replacedBy: string | null };

/** `time` is that of its block; `device` the commitment that the contract knows it by. */
export type RegistryEvent = Said & { block: number; logIndex: number; device: string; time: number };

/** What the registry holds of a device. */
export type Registration = Period & {
  status: DeviceStatus;
  /** Of the chain: since when it has this status. */
  since: number;
  /** The block that said so last. */
  block: number;
  meteringPoint: string;
  owner: string;
  kind: string;
  energySource: string;
  capacityW: number;
  custody: 'device' | 'gateway';
  replacedBy: string | null;
  /** It is registered for another metering point than it is enrolled for here. */
  elsewhere?: true;
};

/** In the order of the chain. Undefined where the first of them isn't the registration. */
export function foldEvents(events: readonly RegistryEvent[]): Registration | undefined {
  let now: Registration | undefined;
  for (const e of events) {
    const { block } = e;
    if (e.event === 'registered') {
      const { event: _, logIndex: __, device: ___, time: since, ...said } = e;
      now ??= { ...said, status: 'active', since, replacedBy: null };
    } else if (!now) return undefined;
    else if (e.event === 'amended') {
      const { owner, energySource, capacityW, validFrom, validUntil } = e;
      now = { ...now, owner, energySource, capacityW, validFrom, validUntil, block };
    } else if (!FINAL_STATUSES.has(now.status)) {
      now = { ...now, status: e.status, replacedBy: e.replacedBy, since: e.time, block };
      // As the contract does.
      if (e.status === 'replaced') now.validUntil = Math.min(now.validUntil ?? e.time, e.time);
    }
  }
  return now;
}

type Row = { block: number; logIndex: number; device: Uint8Array; data: string };

const saveEvent = ({ block, logIndex, device, ...said }: RegistryEvent): SqlStatement => ({
  sql: 'INSERT INTO registry_events (block, log_index, device, data) VALUES (?, ?, ?, ?)',
  params: [block, logIndex, bytesOf(device), JSON.stringify(said)],
});

export class Registrations {
  readonly #store: Store;
  readonly #rows: FollowedRows;
  /** Events and blocks are exchanged whole: what was worked out from them before is stale then. */
  onChanged: () => void = () => undefined;

  constructor(store: Store) {
    this.#store = store;
    this.#rows = new FollowedRows(store, { name: 'registry', events: 'registry_events', blocks: 'registry_blocks' });
  }

  blocks(): Block[] {
    return this.#rows.blocks();
  }

  get meta(): FollowedRows['meta'] {
    return this.#rows.meta;
  }

  /** Events, and devices that were ever registered. */
  counts(): { events: number; devices: number } {
    return this.#store.get<{ events: number; devices: number }>(
      'SELECT count(*) AS events, count(DISTINCT device) AS devices FROM registry_events',
    ) as { events: number; devices: number };
  }

  events(device: string): RegistryEvent[] {
    return this.#store
      .all<Row>(
        `SELECT block, log_index AS logIndex, device, data FROM registry_events WHERE device = ?
         ORDER BY block, log_index`,
        bytesOf(device),
      )
      .map(({ data, ...row }) => ({ ...(JSON.parse(data) as RegistryEvent), ...row, device }));
  }

  of(device: string): Registration | undefined {
    return foldEvents(this.events(device));
  }

  /** @throws EdgeError STORE_UNAVAILABLE */
  async follow(
    place: FollowedPlace,
    ancestor: Block | undefined,
    events: readonly RegistryEvent[],
    head: Block,
    syncedMs: number,
  ): Promise<void> {
    await this.#rows.follow(place, ancestor, events.map(saveEvent), head, syncedMs);
    this.onChanged();
  }
}
