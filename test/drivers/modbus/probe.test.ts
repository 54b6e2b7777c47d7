import { describe, expect, it } from 'vitest';
import type { Exchange } from '../../../edge/drivers/driver.ts';
import { SerialFault } from '../../../edge/drivers/fault.ts';
import { probe } from '../../../edge/drivers/modbus/probe.ts';
import type { Measured } from '../../../firmware-sim/serial/maps.ts';
import { der, sdm630, sunspecMeter } from '../../../firmware-sim/serial/maps.ts';
import { ModbusStation } from '../../../firmware-sim/serial/modbus.ts';

const now = (): Measured => ({ importWh: 5n, exportWh: 6n, powerW: 7, volts: [220, 220, 220], hertz: 60 });

function search(stations: ModbusStation[], fault?: SerialFault) {
  let heard: Uint8Array[] = [];
  for (const station of stations) station.plug((bytes) => heard.push(bytes));
  const job = probe.ask!();
  let exchanges = 0;
  let step = job.next();
  while (!step.done) {
    exchanges++;
    const { send, parser } = step.value as Exchange;
    heard = [];
    for (const station of stations) station.hear(send);
    const answer = heard.map((bytes) => parser.push(bytes)).find((a) => a !== undefined);
    step = fault ? job.throw(fault) : answer ? job.next(answer) : job.throw(new SerialFault('no-answer', 'silent'));
  }
  return { found: step.value, exchanges };
}

describe('the search for Modbus slaves', () => {
  it('finds them all once one is where they mostly are, and proposes what reads them', () => {
    const { found } = search([
      new ModbusStation(1, sdm630(now)),
      new ModbusStation(77, der(now)),
      new ModbusStation(126, sunspecMeter(now)),
      new ModbusStation(200, () => undefined),
    ]);
    expect(found.map(({ profile, device }) => [profile, device])).toEqual([
      ['meter-modbus', { unitId: 1 }],
      ['pv-sunspec', { unitId: 77 }],
      ['meter-sunspec', { unitId: 126 }],
      ['', { unitId: 200 }],
    ]);
    expect(found[1]?.about).toContain('Sejong Twin DER 1.0 serial number T701, models 1, 701 at 40000');
  });

  it('gives an empty line up soon, and a port that is gone at once', () => {
    expect(search([])).toMatchObject({ found: [], exchanges: 14 });
    expect(() => search([], new SerialFault('away', 'unplugged'))).toThrow('unplugged');
  });
});
