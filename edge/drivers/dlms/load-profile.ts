/**
 * A load profile (profile generic, class 7, Blue Book clause 4.3.6): what its columns are, and its rows as readings.
 * Rows are dated by the meter's own clock, each by the deviation that it carries itself. Pure.
 */
import type { SenmlRecord } from '../../wire/senml.ts';
import { SerialFault } from '../fault.ts';
import type { Data } from './axdr.ts';
import { decodeDateTime, isDated, type Moment } from './clock.ts';
import { sameBytes } from './hdlc.ts';
import { type Point, recordFrom, type Scaler } from './objects.ts';

const CLOCK_CLASS = 8;
const MAX_COLUMNS = 100;

/** For each column of the buffer: the clock, a value that the profile file wants, or neither. */
export type Column = 'clock' | Point | undefined;

/** @param data capture_objects. @throws SerialFault mismatch */
export function columnsOf(data: Data, points: readonly Point[]): Column[] {
  if (data.type !== 'array' || data.items.length > MAX_COLUMNS)
    throw new SerialFault('mismatch', 'the load profile does not tell its columns');
  const columns = data.items.map((item): Column => {
    const [classId, obis, attribute, index] = item.type === 'structure' ? item.items : [];
    if (classId?.type !== 'integer' || obis?.type !== 'octets' || attribute?.type !== 'integer')
      throw new SerialFault('mismatch', 'the load profile does not tell its columns');
    if (index?.type === 'integer' && Number(index.value) !== 0) return undefined;
    if (Number(classId.value) === CLOCK_CLASS && Number(attribute.value) === 2) return 'clock';
    return points.find(({ at }) => sameBytes(at.obis, obis.value) && at.attribute === Number(attribute.value));
  });
  if (!columns.includes('clock')) throw new SerialFault('mismatch', 'the load profile has no clock among its columns');
  return columns;
}

export type Row = { t: number; records: SenmlRecord[] };

/**
 * @param data buffer
 * @param periodSeconds capture_period: where a row has no time (null), it is the one before plus this
 * @returns rows with a time, and why others have none
 */
export function rowsOf(
  data: Data,
  columns: readonly Column[],
  scalers: ReadonlyMap<Point, Scaler>,
  periodSeconds: number,
): { rows: Row[]; undated: string | undefined } {
  if (data.type !== 'array') throw new SerialFault('mismatch', 'the load profile’s buffer is no array');
  const rows: Row[] = [];
  let undated: string | undefined;
  let last: Data[] = [];
  let moment: Moment | undefined;
  for (const item of data.items) {
    const cells = item.type === 'structure' ? item.items : [];
    if (cells.length !== columns.length)
      throw new SerialFault(
        'mismatch',
        `a row of ${cells.length} cells in a load profile of ${columns.length} columns`,
      );
    const clock = cells[columns.indexOf('clock')] as Data;
    const decoded = clock.type === 'octets' ? decodeDateTime(clock.value) : undefined;
    if (decoded !== undefined) moment = isDated(decoded) ? decoded : undefined;
    // A row without a time goes on where the one before was, if that had one.
    else if (moment !== undefined && periodSeconds > 0) moment = { ...moment, t: moment.t + periodSeconds };
    else moment = undefined;
    // null: as in the row before.
    last = cells.map((cell, i) => (cell.type === 'null' ? (last[i] ?? cell) : cell));
    if (moment === undefined) {
      undated ??= decoded !== undefined && !isDated(decoded) ? decoded.why : 'it has none';
      continue;
    }
    const records = recordsOfRow(last, columns, scalers, moment.t);
    if (records.length > 0) rows.push({ t: moment.t, records });
  }
  return { rows: rows.sort((a, b) => a.t - b.t), undated };
}

/** The billed one first; none where a required value is missing. */
function recordsOfRow(
  cells: Data[],
  columns: readonly Column[],
  scalers: ReadonlyMap<Point, Scaler>,
  t: number,
): SenmlRecord[] {
  try {
    return columns
      .flatMap((column, i) => {
        if (column === 'clock' || column === undefined) return [];
        const record = recordFrom(column.value, cells[i] as Data, scalers.get(column), t);
        return record === undefined ? [] : [{ record, billed: column.value.billed }];
      })
      .sort((a, b) => Number(b.billed) - Number(a.billed))
      .map(({ record }) => record);
  } catch (error) {
    if (error instanceof SerialFault && error.kind === 'no-value') return [];
    throw error;
  }
}
