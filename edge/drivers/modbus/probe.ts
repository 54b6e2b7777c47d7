/** Which Modbus slaves are on an unknown line, and which profile would read them. */
import { ask, type Exchange, type Found, type LineFormat, type Probe } from '../driver.ts';
import { SerialFault } from '../fault.ts';
import { answerPduBytes, type Read } from './pdu.ts';
import { MAX_UNIT_ID, RTU_EXTRA_BYTES, RtuParser, rtuRequest } from './rtu.ts';
import { Slave } from './slave.ts';
import { discover, nameplate } from './sunspec.ts';
import { decodeNumber } from './words.ts';

/** Most slaves answer within 50 ms; each silent one costs this. */
const TIMEOUT_MS = 100;

/** Where makers and installers put their devices. Only where one of these answers are all others asked, too. */
const LIKELY: readonly number[] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 100, 126, 240, MAX_UNIT_ID];

const format = (baudRate: number, parity: LineFormat['parity']): LineFormat => ({
  baudRate,
  dataBits: 8,
  parity,
  stopBits: 1,
});

const LINES: readonly LineFormat[] = [
  format(9600, 'none'),
  format(9600, 'even'),
  format(19200, 'even'),
  format(19200, 'none'),
  format(115200, 'none'),
  format(38400, 'none'),
];

/** Where SunSpec may begin: a slave without it refuses, and so shows that it is there. */
const MARKER: Read = { functionCode: 3, address: 40000, count: 2 };

/** @throws SerialFault away */
function* isThere(unitId: number): Generator<Exchange, boolean, unknown> {
  for (let damaged = 0; damaged < 3; damaged++)
    try {
      yield* ask({
        send: rtuRequest(unitId, MARKER),
        parser: new RtuParser(unitId, MARKER),
        answerBytes: answerPduBytes(MARKER.count) + RTU_EXTRA_BYTES,
        timeoutMs: TIMEOUT_MS,
      });
      return true;
    } catch (error) {
      rethrowAway(error);
      if ((error as SerialFault).kind !== 'corrupt') return false;
    }
  return false;
}

/** Only a port that is gone ends the search; and what is no fault is a mistake. */
function rethrowAway(error: unknown): void {
  if (!(error instanceof SerialFault) || error.kind === 'away') throw error;
}

function* identify(unitId: number): Generator<Exchange, Found, unknown> {
  const slave = new Slave({ unitId }, 'tty', 5 * TIMEOUT_MS);
  try {
    const discovery = yield* discover(slave);
    const about = yield* nameplate(slave, discovery);
    const isMeter = !discovery.models.some(({ id }) => (id > 100 && id < 120) || id === 701);
    return { profile: isMeter ? 'meter-sunspec' : 'pv-sunspec', device: { unitId }, about };
  } catch (error) {
    rethrowAway(error);
  }
  try {
    // Voltage of the first phase, and frequency: no other common device has both as floats just there.
    const [volts, hertz] = [yield* float(slave, 0), yield* float(slave, 70)];
    if (volts > 80 && volts < 300 && hertz > 45 && hertz < 65)
      return {
        profile: 'meter-modbus',
        device: { unitId },
        about: `reads like an Eastron SDM (${volts} V, ${hertz} Hz)`,
      };
  } catch (error) {
    rethrowAway(error);
  }
  return {
    profile: '',
    device: { unitId },
    about: 'a Modbus slave without SunSpec: write a profile with driver modbus from the register map in its manual',
  };
}

function* float(slave: Slave, address: number): Generator<Exchange, number, unknown> {
  const words = yield* slave.read({ functionCode: 4, address, count: 2 });
  return Number(decodeNumber('float32', words, 'high-first') ?? Number.NaN);
}

/** For all of Modbus RTU. A slave that no profile here reads has the profile ''. */
export const probe: Probe = {
  lines: LINES,
  *ask() {
    const there: number[] = [];
    const look = function* (units: readonly number[]): Generator<Exchange, void, unknown> {
      for (const unitId of units) if (yield* isThere(unitId)) there.push(unitId);
    };
    yield* look(LIKELY);
    if (there.length > 0)
      yield* look(Array.from({ length: MAX_UNIT_ID }, (_, i) => i + 1).filter((unitId) => !LIKELY.includes(unitId)));
    const found: Found[] = [];
    for (const unitId of there.sort((a, b) => a - b)) found.push(yield* identify(unitId));
    return found;
  },
};
