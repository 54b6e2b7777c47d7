/**
 * The city's registry as it was followed from the chain: the events of the Devices contract, as rows, and the newest
 * blocks that were looked at, by which a reorg is noticed. What is so now of a device is worked out from its events, so
 * that taking back a block is nothing but deleting rows.
 */
import { type DeviceStatus, FINAL_STATUSES } from './devices.ts';
import { type SqlStatement, type Store, setMeta } from './store.ts';

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

export type Block = { number: number; hash: string; time: number };

/** Blocks that are remembered: a reorg that reaches below the oldest is met by reading the registry anew. */
export const MAX_BLOCKS = 128;

/** Where the table says which contract it is of, and when the chain was in step with it last. */
const META = 'registry';
type Place = { chainId: number; contract: string };
type Meta = Place & { syncedMs: number };

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
    } else if (!FINAL_STATUSES.has(now.status))
      now = { ...now, status: e.status, replacedBy: e.replacedBy, since: e.time, block };
  }
  return now;
}

type Row = { block: number; logIndex: number; device: Uint8Array; data: string };
const bytesOf = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex.slice(2), 'hex'));
const hexOf = (bytes: Uint8Array): string => `0x${Buffer.from(bytes).toString('hex')}`;

const saveEvent = ({ block, logIndex, device, ...said }: RegistryEvent): SqlStatement => ({
  sql: 'INSERT INTO registry_events (block, log_index, device, data) VALUES (?, ?, ?, ?)',
  params: [block, logIndex, bytesOf(device), JSON.stringify(said)],
});

export class Registrations {
  readonly #store: Store;
  /** Events and blocks are exchanged whole: what was worked out from them before is stale then. */
  onChanged: () => void = () => undefined;

  constructor(store: Store) {
    this.#store = store;
  }

  /** Newest first; the newest is the cursor: all events up to it are here. */
  blocks(): Block[] {
    return this.#store
      .all<{ number: number; hash: Uint8Array; time: number }>(
        'SELECT number, hash, time FROM registry_blocks ORDER BY number DESC LIMIT ?',
        MAX_BLOCKS,
      )
      .map((b) => ({ ...b, hash: hexOf(b.hash) }));
  }

  /** Of which contract the rows are, and when (Unix ms, by our clock) the chain was in step with them last. */
  get meta(): Meta | undefined {
    const text = this.#store.meta(META);
    return text === undefined ? undefined : (JSON.parse(text) as Meta);
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

  /**
   * One transaction: what came after `ancestor` is taken back (all, where there is none), the events up to `head` are
   * added, and `head` is the cursor.
   * @throws EdgeError STORE_UNAVAILABLE
   */
  async follow(
    place: Place,
    ancestor: Block | undefined,
    events: readonly RegistryEvent[],
    head: Block,
    syncedMs: number,
  ): Promise<void> {
    const above = ancestor?.number ?? -1;
    await this.#store.write({
      name: 'registry',
      statements: [
        { sql: 'DELETE FROM registry_events WHERE block > ?', params: [above] },
        { sql: 'DELETE FROM registry_blocks WHERE number > ?', params: [above] },
        ...events.map(saveEvent),
        {
          sql: `INSERT INTO registry_blocks (number, hash, time) VALUES (?, ?, ?)
            ON CONFLICT (number) DO NOTHING`,
          params: [head.number, bytesOf(head.hash), head.time],
        },
        {
          sql: `DELETE FROM registry_blocks WHERE number <=
            (SELECT number FROM registry_blocks ORDER BY number DESC LIMIT 1 OFFSET ?)`,
          params: [MAX_BLOCKS],
        },
        setMeta(META, JSON.stringify({ ...place, syncedMs })),
      ],
    });
    this.onChanged();
  }
}
