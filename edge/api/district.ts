/** All devices in short, for who looks at many: a row each, and with `since` only those that changed. */
import Type, { type Static } from 'typebox';
import type { Device } from '../store/devices.ts';
import { decodeEnvelope } from '../wire/envelope.ts';
import type { SenmlRecord } from '../wire/senml.ts';
import type { ApiParts } from './parts.ts';
import { bearer, needs, type Server } from './server.ts';
import { Index, Ms, Nullable } from './views.ts';

const LastView = Type.Object({
  n: Type.String({ description: 'OBIS code, VSS path or other name' }),
  u: Nullable(Type.String({ description: 'Unit (RFC 8428 section 12.1)' })),
  v: Type.Union([Type.Number(), Type.String(), Type.Boolean()]),
});
export const DistrictRowView = Type.Object({
  did: Type.String(),
  kind: Type.String(),
  sub: Type.String({ description: 'URN of what it measures' }),
  label: Nullable(Type.String()),
  status: Type.Enum(['active', 'suspended', 'revoked', 'replaced']),
  custody: Type.Enum(['device', 'gateway']),
  entries: Type.Integer({ description: 'Entries in the log' }),
  lastIndex: Nullable(Index),
  lastMs: Nullable(Ms),
  gaps: Type.Integer({ description: 'Sequences that are missing below the highest' }),
  quarantined: Type.Integer({ description: 'Refused envelopes that lie in quarantine' }),
  silent: Type.Boolean({ description: 'Nothing came from it for longer than it usually lets pass: DEVICE_SILENT' }),
  last: Type.Union([LastView, Type.Null()], {
    description: 'The first value of its newest entry; null where there is none, or its payload is no longer kept',
  }),
});
export type DistrictRowView = Static<typeof DistrictRowView>;
type Last = Static<typeof LastView> | null;

/** Rows are looked at again after so long, for however many readers. */
const FRESH_MS = 1_000;
/** Devices between which others have their turn. */
const SLICE = 100;

export function districtRoutes(server: Server, parts: ApiParts): void {
  const district = new District(parts);
  server.get(
    '/district',
    {
      ...needs('viewer'),
      schema: {
        summary: 'All devices in short, with the last value of each; or those that changed',
        description:
          'Ask again with since = the version of the answer before, and only rows that changed come. Values of sealed entries are shown, as /entries shows them. Looked at once a second at the most.',
        tags: ['devices'],
        security: bearer,
        querystring: Type.Object(
          { since: Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER, default: 0 }) },
          { additionalProperties: false },
        ),
        response: { 200: Type.Object({ version: Type.Integer(), devices: Type.Array(DistrictRowView) }) },
      },
    },
    ({ query: { since } }) => district.since(since),
  );
}

type Kept = { row: DistrictRowView; version: number; lastIdx: number };

class District {
  readonly #parts: ApiParts;
  readonly #kept: Kept[] = [];
  /** Higher than any that an earlier run gave, so that who comes with one of those gets all. */
  #version = Date.now();
  #lookedAt = Number.NEGATIVE_INFINITY;
  #looking: Promise<void> | undefined;
  #forgotten = 0;

  constructor(parts: ApiParts) {
    this.#parts = parts;
  }

  async since(version: number): Promise<{ version: number; devices: DistrictRowView[] }> {
    const isOld = performance.now() - this.#lookedAt > FRESH_MS || this.#forgotten !== this.#parts.forgetting.count;
    if (isOld)
      this.#looking ??= this.#look().finally(() => {
        this.#looking = undefined;
      });
    await this.#looking;
    // From a clock that was set back since: nothing is known of what that reader has.
    const from = version > this.#version ? 0 : version;
    const devices = this.#kept.flatMap((kept) => (kept.version > from ? [kept.row] : []));
    return { version: this.#version, devices };
  }

  async #look(): Promise<void> {
    const { devices, forgetting } = this.#parts;
    if (this.#forgotten !== forgetting.count) {
      // What was destroyed is not to be shown from here.
      this.#forgotten = forgetting.count;
      this.#kept.length = 0;
    }
    const version = this.#version + 1;
    for (const [i, device] of devices.list().entries()) {
      if (i % SLICE === SLICE - 1) await new Promise((resolve) => setImmediate(resolve));
      const before = this.#kept[device.id];
      const row = this.#row(device, before);
      const changed = !before || !isSame(before.row, row);
      this.#kept[device.id] = { row, version: changed ? version : before.version, lastIdx: device.counter.lastIdx };
    }
    this.#version = version;
    this.#lookedAt = performance.now();
  }

  #row(device: Device, before: Kept | undefined): DistrictRowView {
    const { did, kind, sub, label, status, custody, counter } = device;
    const { epoch, entries, lastIdx, lastMs, gaps } = counter;
    const isLast = before?.lastIdx === lastIdx && (lastIdx >= this.#parts.log.minimumIndex || before.row.last === null);
    return {
      ...{ did, kind, sub, label, status, custody, entries },
      lastIndex: lastIdx < 0 ? null : lastIdx,
      lastMs: epoch < 0 ? null : lastMs,
      gaps: gaps.reduce((sum, { first, last }) => sum + last - first + 1, 0),
      quarantined: this.#parts.quarantine.heldBy(did),
      silent: this.#parts.alarms.isSilent(device),
      last: isLast ? before.row.last : this.#last(lastIdx),
    };
  }

  #last(idx: number): Last {
    const entry = idx < 0 ? undefined : this.#parts.entries.get(idx);
    if (!entry || entry.leaf || entry.forgotten) return null;
    const record = decodeEnvelope(entry.envelope).records.find((r) => toldBy(r) !== undefined);
    return record ? { n: record.n, u: record.u ?? null, v: toldBy(record) as number } : null;
  }
}

const toldBy = ({ v, vs, vb }: SenmlRecord): number | string | boolean | undefined => v ?? vs ?? vb;

function isSame(a: DistrictRowView, b: DistrictRowView): boolean {
  const { last: lastA, ...restA } = a;
  const { last: lastB, ...restB } = b;
  return (
    Object.entries(restA).every(([key, value]) => restB[key as keyof typeof restB] === value) &&
    lastA?.n === lastB?.n &&
    lastA?.u === lastB?.u &&
    lastA?.v === lastB?.v
  );
}
