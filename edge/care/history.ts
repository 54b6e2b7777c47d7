/**
 * The register of one meter at full hours, looked up in the log: a few readings are opened for each hour and none is kept.
 * Readings stand there in the order of the device's counter, which is that of its clock, so an hour is searched for: by
 * steps that grow, then by halves.
 */
import { setImmediate as turn } from 'node:timers/promises';

export type Place = { epoch: number; seq: number };
/** `iat` (Unix seconds) and register in Wh, where they can still be read. */
export type Seen = Place & { iat: number | undefined; registerWh: number | undefined };
export type Line = {
  /** The first reading at a counter, or after it. */
  from: (place: Place) => Seen | undefined;
  /** The newest reading of a boot epoch; of all where none is given. */
  last: (epoch?: number) => Seen | undefined;
};

/** A reading stands for an hour that it is at most so many seconds before. */
const NEAR_S = 1800;
/** Others have their turn after so many readings. */
const AT_ONCE = 16;

/**
 * @param hours Unix seconds, rising
 * @returns the register in Wh that was read last before each of them, or null where that was longer ago than half an hour
 */
export async function registersAt(line: Line, hours: readonly number[]): Promise<(number | null)[]> {
  let looked = 0;
  const paced = async <T>(look: T): Promise<T> => {
    if (++looked % AT_ONCE === 0) await turn();
    return look;
  };
  const newest = line.last();
  let at = line.from({ epoch: 0, seq: 0 });
  let step = 1;
  const found: (number | null)[] = [];
  for (const hour of hours) {
    if (!at || !newest || isAfter(at, hour)) {
      found.push(null);
      continue;
    }
    let [low, taken, high]: [Seen, number, Seen | undefined] = [at, step, undefined];
    while (high === undefined && !isSame(low, newest)) {
      const next: Seen = (await paced(line.from({ epoch: low.epoch, seq: low.seq + taken }))) ?? newest;
      if (isAfter(next, hour)) high = next;
      else {
        low = next;
        taken *= 2;
      }
    }
    // The next hour is likely to be as far away as this one was.
    step = Math.max(1, low.epoch === at.epoch ? low.seq - at.seq : 1);
    at = high ? await halve(line, low, high, hour, paced) : low;
    const near = at.iat !== undefined && hour - at.iat <= NEAR_S;
    found.push(near ? (at.registerWh ?? null) : null);
  }
  return found;
}

/** The last reading not after the hour, of those from `low`, which is one, to before `high`, which is none. */
async function halve(
  line: Line,
  low: Seen,
  high: Place,
  hour: number,
  paced: <T>(look: T) => Promise<T>,
): Promise<Seen> {
  for (;;) {
    if (low.epoch !== high.epoch) {
      const end = (await paced(line.last(low.epoch))) as Seen;
      if (!isSame(end, low)) {
        if (isAfter(end, hour)) high = end;
        else low = end;
        continue;
      }
      const next = (await paced(line.from({ epoch: low.epoch + 1, seq: 0 }))) as Seen;
      if (isSame(next, high) || isAfter(next, hour)) return low;
      low = next;
      continue;
    }
    const middle = Math.floor((low.seq + high.seq) / 2);
    if (middle === low.seq) return low;
    const next = (await paced(line.from({ epoch: low.epoch, seq: middle }))) as Seen;
    // Where no reading is between the middle and the end, the end is the middle.
    if (next.epoch !== low.epoch || next.seq >= high.seq) high = { epoch: low.epoch, seq: middle };
    else if (isAfter(next, hour)) high = next;
    else low = next;
  }
}

const isSame = (a: Place, b: Place): boolean => a.epoch === b.epoch && a.seq === b.seq;
/** What can't be read any more was pruned or forgotten: it is old. */
const isAfter = ({ iat }: Seen, hour: number): boolean => iat !== undefined && iat > hour;
