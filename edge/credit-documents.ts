/**
 * What is made of many certificates or readings at once: what an application for RECs needs, and the evidence of a building.
 * Gathers rows; what they come to is said by the rules (credits/).
 */
import type { CreditsParts } from './api/credits-parts.ts';
import type { ApiParts } from './api/parts.ts';
import { inSuccession } from './api/succession.ts';
import { commitment } from './chain/commitment.ts';
import {
  type BuildingReading,
  type BuildingRegister,
  IMPORT_REGISTER,
  NEAR_SECONDS,
  signBuilding,
} from './credits/building.ts';
import { type RecApplication, type RecInput, recApplication } from './credits/rec/application.ts';
import { kstMonthRange } from './credits/time.ts';
import { EdgeError } from './errors.ts';
import type { Log } from './log/log.ts';
import { encodeJsonReceipt } from './log/receipt.ts';
import type { CreditNews } from './store/credit-news.ts';
import type { CreditRows } from './store/credits.ts';
import type { Device, Devices } from './store/devices.ts';
import type { Entries, EntryRow } from './store/entries.ts';
import { EXPORT_REGISTER } from './wire/boundary.ts';
import { decodeEnvelope } from './wire/envelope.ts';
import type { Signer } from './wire/vc/proof.ts';

export type DocumentOptions = {
  rows: CreditRows;
  news: CreditNews;
  log: Log;
  entries: Entries;
  devices: Devices;
  gateway: Signer;
  anchorCovering: ApiParts['anchorCovering'];
};

const PAGE = 500;

export type Documents = {
  rec: (...asked: Parameters<CreditsParts['rec']>) => RecApplication;
  building: CreditsParts['building'];
};

export const creditDocuments = (o: DocumentOptions): Documents => ({
  rec: (month, point, plant) => recApplication(recInput(o, month, point, plant)),
  building: (asked) => building(o, asked),
});

function monthOf(month: string): { from: number; until: number } {
  const range = kstMonthRange(month);
  if (!range) throw new EdgeError('REQUEST_INVALID', `${month} is no month, as 2026-11`);
  return range;
}

/** The device that speaks for a metering point now. @throws EdgeError NOT_FOUND */
function deviceOf(devices: Devices, point: string): Device {
  const device = inSuccession(devices.list(), point).at(-1);
  if (!device) throw new EdgeError('NOT_FOUND', `no device is enrolled for ${point}`);
  return device;
}

function recInput(
  { rows, news, devices }: DocumentOptions,
  month: string,
  point: string,
  { class: kind, confirmed, carried }: Parameters<CreditsParts['rec']>[2],
): RecInput {
  const { from, until } = monthOf(month);
  const { energySource, capacityW } = deviceOf(devices, point);
  if (energySource === null || capacityW === null)
    throw new EdgeError('REQUEST_INVALID', `energy source and capacity of ${point} are not known: enrol it with them`);
  const pointId = commitment(point);
  // Tokens of a month's gaps are alike: what was claimed of them is taken off the first ones.
  let claimed = news.residualClaimed(pointId, from);
  const leftOf = (wh: number): number => {
    const taken = Math.min(claimed, wh);
    claimed -= taken;
    return wh - taken;
  };
  return {
    month,
    point,
    pointId,
    plant: { source: energySource, class: kind, capacityW, confirmed },
    slots: rows
      .certificatesOf(point, from, until)
      .filter(({ mintBlock, withdrawn }) => mintBlock !== null && !withdrawn)
      .map(({ id, slot, wh, claimedWh }) => ({ certificate: id, slot, wh, leftWh: Math.max(0, wh - claimedWh) })),
    residuals: rows
      .residualsOf(point, from, until)
      .filter(({ mintBlock }) => mintBlock !== null)
      .map(({ fromAt, untilAt, wh }) => ({ from: fromAt, until: untilAt, wh, leftWh: leftOf(wh) })),
    carried,
    now: Math.floor(Date.now() / 1000),
  };
}

function building(o: DocumentOptions, asked: Parameters<CreditsParts['building']>[0]): object {
  const { from, to: until } = asked;
  const ends = (point: string, obis: string): BuildingRegister => {
    const register = registerOf(o, point, obis, from, until);
    if (!register)
      throw new EdgeError(
        'EVIDENCE_INCOMPLETE',
        `${obis} of ${point} was not read within ${NEAR_SECONDS} s of both ends of the period`,
      );
    return register;
  };
  const generation = asked.generation.map((point) => ends(point, EXPORT_REGISTER));
  const grid = ends(asked.grid, IMPORT_REGISTER);
  const given = registerOf(o, asked.grid, EXPORT_REGISTER, from, until);
  const indexes = [...generation, grid, ...(given ? [given] : [])].flatMap(({ start, end }) => [
    start.entry,
    end.entry,
  ]);
  const receipts = [...new Set(indexes)].sort((a, b) => a - b).map((index) => receiptOf(o, index));
  return signBuilding({ from, until, generation, import: grid, export: given, receipts }, o.gateway, Date.now());
}

/** Undefined where it was not read near one of the ends. @throws EdgeError NOT_FOUND */
function registerOf(
  o: DocumentOptions,
  point: string,
  obis: string,
  from: number,
  until: number,
): BuildingRegister | undefined {
  const { registerModulusWh } = deviceOf(o.devices, point);
  const start = nearest(o, point, obis, from);
  const end = nearest(o, point, obis, until);
  return start && end && { meteringPoint: point, obis, start, end, modulusWh: registerModulusWh };
}

/** The reading of a register that is nearest to a moment. A device's readings are in the order of its counter, and so of time. */
function nearest(o: DocumentOptions, point: string, obis: string, at: number): BuildingReading | undefined {
  let best: BuildingReading | undefined;
  for (const device of inSuccession(o.devices.list(), point))
    for (let after = -1, over = false; !over; ) {
      // What was read then came then, or later.
      const page = o.entries.pageOfDevice(device.id, after, (at - NEAR_SECONDS) * 1000, Number.MAX_SAFE_INTEGER, PAGE);
      for (const row of page) {
        after = row.idx;
        for (const reading of readingsOf(row, device, obis)) {
          over ||= reading.iat > at + NEAR_SECONDS;
          const off = Math.abs(reading.iat - at);
          if (off <= NEAR_SECONDS && off < Math.abs((best?.iat ?? Number.POSITIVE_INFINITY) - at)) best = reading;
        }
      }
      over ||= page.length < PAGE;
    }
  return best;
}

/** Times of a record below 2^28 are offsets to that of the envelope (RFC 8428 section 4.5.3). */
const ABSOLUTE = 2 ** 28;

function readingsOf({ idx, envelope }: EntryRow, device: Device, obis: string): BuildingReading[] {
  if (envelope.length === 0) return []; // pruned or forgotten
  const { iat, records } = decodeEnvelope(envelope);
  return records.flatMap(({ n, u, v, t = 0 }) => {
    if (n !== obis || u !== 'Wh' || v === undefined || !Number.isInteger(v) || v < 0) return [];
    return [{ device: device.did, iat: t >= ABSOLUTE ? t : iat + t, registerWh: v, entry: idx }];
  });
}

/** With the opening, where it is sealed: who asks for this evidence shows these readings. */
function receiptOf({ entries, log, anchorCovering }: DocumentOptions, index: number) {
  const row = entries.get(index);
  const anchored = anchorCovering(index);
  const found = [anchored && log.checkpointOfSize(anchored.size), log.latest].find((c) => c && c.size > index);
  if (!row || !found) throw new EdgeError('NOT_IN_CHECKPOINT', `entry ${index}`);
  return encodeJsonReceipt({
    index,
    entry: row.entry,
    path: log.inclusion(index, found.size),
    checkpoint: found.note,
    ...(anchored?.size === found.size ? { anchor: anchored.hint } : {}),
    ...(row.salt ? { opening: { salt: row.salt, envelope: row.envelope } } : {}),
  });
}
