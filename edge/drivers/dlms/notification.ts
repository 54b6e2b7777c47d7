/**
 * What stands in a data-notification (Green Book clause 9.3.10): when, and values with the names of their objects. How
 * they stand is the meter maker's choice (push setup, Blue Book clause 4.4.8). Three ways are understood:
 *
 *   [[OBIS, value, [scaler, unit]?] ...]          each with its name (Aidon, Iskra, Landis+Gyr)
 *   [text?, OBIS, value, OBIS, value ...]          names and values in turn (Kamstrup, Landis+Gyr)
 *   [[[class, OBIS, attribute, index] ...], ...]   the object list of the push setup, and then its values
 *
 * Pure.
 */
import { SerialFault } from '../fault.ts';
import { type Data, Reader } from './axdr.ts';
import { decodeDateTime, isDated } from './clock.ts';
import { obisText } from './words.ts';

const DATA_NOTIFICATION = 0x0f;
const CLOCK_CLASS = 8;
/** Clock objects are 0-b:1.0.0 (Blue Book clause 6.2.5). */
const isClock = (obis: Uint8Array): boolean => obis[0] === 0 && obis[2] === 1 && obis[3] === 0 && obis[4] === 0;

export type Told = { data: Data; scaler?: { exponent: number; unit: number } };
/** By OBIS code. `t` is Unix seconds, where the meter's clock dates what it says. */
export type Notification = { t: number | undefined; values: Map<string, Told> };

/** @throws SerialFault mismatch */
export function decodeNotification(apdu: Uint8Array): Notification {
  const reader = new Reader(apdu);
  const tag = reader.byte();
  if (tag !== DATA_NOTIFICATION) throw new SerialFault('mismatch', `the meter pushes a message of tag ${tag}, no data`);
  // Long invoke id and priority: nobody was asked.
  reader.unsigned(4);
  const header = reader.take(reader.length());
  const body = reader.data();
  if (reader.left > 0) throw new SerialFault('mismatch', `${reader.left} bytes too many in what the meter pushes`);
  const values = new Map<string, Told>();
  if (body.type !== 'array' && body.type !== 'structure')
    throw new SerialFault('mismatch', 'what the meter pushes is no list');
  const times: Uint8Array[] = [header];
  collect(body.items, values, times);
  if (values.size === 0) throw new SerialFault('mismatch', 'what the meter pushes names no objects');
  // A time that is told twice and dates only once is one that dates.
  const moment = times.map(decodeDateTime).find(isDated);
  return { t: moment?.t, values };
}

function collect(items: Data[], values: Map<string, Told>, times: Uint8Array[]): void {
  const tell = (obis: Uint8Array, told: Told, classId?: number) => {
    if ((classId === CLOCK_CLASS || isClock(obis)) && told.data.type === 'octets' && told.data.value.length === 12)
      times.push(told.data.value);
    else if (!values.has(obisText(obis))) values.set(obisText(obis), told);
    else throw new SerialFault('mismatch', `the meter pushes ${obisText(obis)} twice`);
  };

  const list = objectList(items[0]);
  if (list !== undefined) {
    if (list.length !== items.length)
      throw new SerialFault('mismatch', `the meter pushes ${items.length} values for ${list.length} objects`);
    const scalers = new Map<string, Data>();
    for (const [i, { obis, attribute, class: id }] of list.entries())
      if (attribute === 3 && id !== CLOCK_CLASS) scalers.set(obisText(obis), items[i] as Data);
    for (const [i, { obis, attribute, class: id }] of list.entries()) {
      if (i === 0 || attribute !== 2) continue;
      const scaler = scalerIn(scalers.get(obisText(obis)));
      tell(obis, { data: items[i] as Data, ...(scaler && { scaler }) }, id);
    }
    return;
  }

  for (let i = 0; i < items.length; i++) {
    const item = items[i] as Data;
    if (item.type === 'structure' && item.items[0] && obisIn(item.items[0])) {
      const [name, data, third] = item.items as [Data, Data | undefined, Data | undefined];
      const scaler = scalerIn(third);
      if (data !== undefined) tell(obisIn(name) as Uint8Array, { data, ...(scaler && { scaler }) });
      continue;
    }
    const obis = obisIn(item);
    const next = items[i + 1];
    if (obis === undefined) continue;
    if (next === undefined || obisIn(next))
      throw new SerialFault('mismatch', `the meter pushes ${obisText(obis)} without a value`);
    tell(obis, { data: next });
    i++;
  }
}

const obisIn = (data: Data): Uint8Array | undefined =>
  data.type === 'octets' && data.value.length === 6 && data.value[5] === 255 ? data.value : undefined;

function scalerIn(data: Data | undefined): Told['scaler'] {
  if (data?.type !== 'structure' || data.items.length !== 2) return undefined;
  const [scaler, unit] = data.items;
  if (scaler?.type !== 'integer' || unit?.type !== 'enum') return undefined;
  return { exponent: Number(scaler.value), unit: unit.value };
}

type Named = { class: number; obis: Uint8Array; attribute: number };

function objectList(data: Data | undefined): Named[] | undefined {
  if (data?.type !== 'array' || data.items.length === 0) return undefined;
  const list: Named[] = [];
  for (const item of data.items) {
    const [id, obis, attribute] = item.type === 'structure' && item.items.length === 4 ? item.items : [];
    if (id?.type !== 'integer' || obis?.type !== 'octets' || attribute?.type !== 'integer') return undefined;
    list.push({ class: Number(id.value), obis: obis.value, attribute: Number(attribute.value) });
  }
  return list;
}
