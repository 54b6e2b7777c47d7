import { describe, expect, it } from 'vitest';
import { SerialFault } from '../../../edge/drivers/fault.ts';
import { obd } from '../../../edge/drivers/obd/obd.ts';
import { EdgeError } from '../../../edge/errors.ts';
import { sequence } from '../../../firmware-sim/random.ts';
import {
  type CloneHabits,
  type ElmOptions,
  ElmStation,
  type ObdProtocol,
} from '../../../firmware-sim/serial/elm327.ts';
import { drive } from '../drive.ts';
import { driver, GOOD_VIN, KOREAN_VIN, poll, SHEET_VIN, station, values, wire } from './rig.ts';

const ALL = {
  Speed: 50,
  TraveledDistance: 12_345.6,
  'Powertrain.FuelSystem.RelativeLevel': 60,
  'VehicleIdentification.VIN': GOOD_VIN,
};

const fault = (run: () => unknown): SerialFault => {
  try {
    run();
  } catch (error) {
    if (error instanceof SerialFault) return error;
    throw error;
  }
  throw new Error('it went well');
};

describe('a vehicle by an ELM327', () => {
  it('is read: speed first, fuel or charge, and the time is that of the speed', () => {
    const device = wire(station());
    const vehicle = driver();
    expect(vehicle.discovered()).toBe(false);
    const reading = poll(vehicle, device);
    expect(reading.records[0]).toEqual({ n: 'Vehicle.Speed', u: 'km/h', v: 50 });
    expect(values(reading)).toEqual(ALL);
    expect(reading.quality).toBe('Good');
    expect(vehicle.discovered()).toBe(true);
    expect(vehicle.about()).toBe('ELM327 v1.5, ISO 15765-4 (CAN 11 bit, 500 kbit/s)');
    const first = device.sent.filter((text) => text !== '');
    expect(first.slice(0, 9)).toEqual(['ATZ', 'ATE0', 'ATL0', 'ATS0', 'ATH1', 'ATAT1', 'ATSP0', '0100', '0100']);
    // The second poll has nothing to find out: the VIN confirmed once, each value asked twice, the speed last.
    device.sent.length = 0;
    poll(vehicle, device);
    expect(device.sent).toEqual(['0902', '012F', '012F', '01A6', '01A6', '010D', '010D']);
  });

  it('gives a state of charge where there is no tank, and leaves out what the vehicle does not have', () => {
    const electric = station({ vehicle: () => ({ speedKmh: 0, stateOfChargePercent: 80 }), vin: KOREAN_VIN });
    expect(values(poll(driver(), wire(electric)))).toEqual({
      Speed: 0,
      'Powertrain.TractionBattery.StateOfCharge.Current': 80,
      'VehicleIdentification.VIN': KOREAN_VIN,
    });
  });

  const protocols: ObdProtocol[] = ['2', '3', '5', '6', '7', '8', '9'];
  it.each(protocols)('speaks protocol %s, with and without headers, spaces, padding, NULs, echo', (protocol) => {
    const habits: CloneHabits[] = [
      {},
      { noHeaders: true },
      { spacesStay: true, echoStays: true },
      { padding: true, nulEvery: 7 },
      { noHeaders: true, spacesStay: true, echoStays: true, nulEvery: 3 },
      { lacks: ['ATE0', 'ATL0', 'ATS0', 'ATH1', 'ATAT1', 'ATDPN'] },
    ];
    for (const clone of habits) {
      const vehicle = driver({ vin: GOOD_VIN });
      const device = wire(station({ protocol, clone, version: 'ELM327 v2.1' }));
      expect(values(poll(vehicle, device))).toEqual(ALL);
      expect(values(poll(vehicle, device))).toEqual(ALL);
    }
  });

  it('says of a clone what it lacks, whatever version it claims', () => {
    const vehicle = driver();
    poll(vehicle, wire(station({ version: 'ELM327 v2.1', clone: { lacks: ['ATAT1', 'ATH1'] } })));
    expect(vehicle.about()).toMatch(
      /^ELM327 v2\.1, a clone: it does not know ATH1, ATAT1, shows no headers, ISO 15765/,
    );
  });

  it('of several control units always the same one answers', () => {
    const two = { gearbox: true };
    expect(values(poll(driver(), wire(station(two)))).Speed).toBe(50);
    expect(values(poll(driver({ ecu: '7E9' }), wire(station(two)))).Speed).toBe(49);
    expect(values(poll(driver(), wire(station({ ...two, protocol: '7' })))).Speed).toBe(50);
    expect(values(poll(driver({ ecu: '18' }), wire(station({ ...two, protocol: '3' })))).Speed).toBe(49);
    // Without headers nobody knows whose speed it is.
    const mixed = fault(() => poll(driver(), wire(station({ ...two, clone: { noHeaders: true } }))));
    expect(mixed.detail).toContain('several control units answer 010D differently');
  });
});

describe('who it is', () => {
  it('another vehicle than the enrolled one gives no reading, and no VIN stands in the message', () => {
    const { kind, detail } = fault(() => poll(driver({ vin: SHEET_VIN }), wire(station())));
    expect(kind).toBe('mismatch');
    expect(detail).toBe('another vehicle: its VIN ends in ...2788, the enrolled one in ...3456');
    expect(fault(() => poll(driver({ vin: GOOD_VIN }), wire(station({ vin: undefined })))).kind).toBe('mismatch');
  });

  it('the adapter that is moved to another vehicle is noticed in the next poll', () => {
    const options: ElmOptions = { vehicle: () => ({ speedKmh: 7 }), vin: GOOD_VIN };
    const vehicle = driver({ vin: GOOD_VIN });
    const free = driver();
    const device = wire(new ElmStation(options));
    poll(vehicle, device);
    poll(free, device);
    options.vin = KOREAN_VIN;
    expect(fault(() => poll(vehicle, device)).kind).toBe('mismatch');
    expect(values(poll(free, device))['VehicleIdentification.VIN']).toBe(KOREAN_VIN);
  });

  it('a wrong check digit is uncertain where one is prescribed, and means nothing in Korea', () => {
    expect(poll(driver(), wire(station({ vin: SHEET_VIN }))).quality).toBe(
      'Uncertain: the check digit of the VIN is not right',
    );
    expect(poll(driver(), wire(station({ vin: KOREAN_VIN }))).quality).toBe('Good');
    const swapped = poll(driver(), wire(station({ gearbox: true, gearboxVin: KOREAN_VIN })));
    expect(swapped.quality).toBe('Uncertain: control units tell different VINs');
    expect(values(swapped)['VehicleIdentification.VIN']).toBe(GOOD_VIN);
  });

  it('control units without a VIN tell none, and the rest is read', () => {
    expect(values(poll(driver(), wire(station({ vin: undefined }))))).not.toHaveProperty('VehicleIdentification.VIN');
  });
});

describe('what the adapter says in place of data', () => {
  it.each([
    ['UNABLE TO CONNECT', 'exception', 'is the ignition on?'],
    ['BUS INIT: ...ERROR', 'exception', 'is the ignition on?'],
    ['BUS INIT: ERROR', 'exception', 'K-line'],
    ['FB ERROR', 'exception', 'wiring'],
    ['NO DATA', 'exception', 'NO DATA'],
  ])('%s ends the poll', (word, kind, detail) => {
    const elm = station();
    elm.faults.words = new Array<string>(30).fill(word);
    const found = fault(() => poll(driver(), wire(elm)));
    expect(found.kind).toBe(kind);
    expect(found.detail).toContain(detail);
  });

  it.each([
    ['BUFFER FULL', 'corrupt'],
    ['CAN ERROR', 'exception'],
    ['STOPPED', 'corrupt'],
    ['<DATA ERROR', 'corrupt'],
    ['<RX ERROR', 'corrupt'],
    ['?', 'mismatch'],
    ['BUS BUSY', 'exception'],
    ['FC RX TIMEOUT', 'corrupt'],
  ])('after %s it is asked again, but not for ever', (word, kind) => {
    const elm = station();
    const vehicle = driver();
    const device = wire(elm);
    elm.faults.words = [word, word];
    expect(values(poll(vehicle, device))).toEqual(ALL);
    elm.faults.words = new Array<string>(200).fill(word);
    expect(fault(() => poll(vehicle, device)).kind).toBe(kind);
    expect(elm.faults.words.length).toBeGreaterThan(150);
  });

  it('NO DATA once is nothing, twice it is believed', () => {
    const elm = station();
    const vehicle = driver();
    const device = wire(elm);
    poll(vehicle, device);
    elm.faults.words = ['NO DATA'];
    expect(values(poll(vehicle, device))).toEqual(ALL);
    elm.faults.ignition = false;
    expect(fault(() => poll(vehicle, device)).detail).toContain('is the ignition on?');
    elm.faults.ignition = true;
    expect(values(poll(vehicle, device))).toEqual(ALL);
  });

  it('an adapter that starts again in the middle is set up again in the same poll', () => {
    const elm = station();
    const vehicle = driver();
    const device = wire(elm);
    poll(vehicle, device);
    elm.powerCycle();
    device.answer(new Uint8Array(0), undefined as never);
    device.sent.length = 0;
    expect(values(poll(vehicle, device))).toEqual(ALL);
    expect(device.sent).toContain('ATZ');
  });

  it('a silent one is asked twice, not more', () => {
    const elm = station();
    const vehicle = driver();
    const device = wire(elm);
    poll(vehicle, device);
    elm.faults.silent = true;
    device.sent.length = 0;
    expect(fault(() => poll(vehicle, device)).kind).toBe('no-answer');
    expect(device.sent.filter((text) => text !== '')).toEqual(['0902', '0902']);
  });
});

it('one byte in a hundred damaged both ways: no value is ever a wrong one', () => {
  const random = sequence(7);
  const noisy = (bytes: Uint8Array): Uint8Array =>
    bytes.map((byte) => (random() < 0.01 ? byte ^ (1 + Math.floor(random() * 255)) : byte));
  let good = 0;
  let tick = 0;
  for (const protocol of ['6', '7', '3'] as const) {
    const vehicle = driver({ vin: GOOD_VIN });
    const now = () => ({ speedKmh: (tick * 37) % 256, odometerKm: 1000 + tick / 10, fuelPercent: (tick * 7) % 100 });
    const device = wire(station({ protocol, vehicle: now, gearbox: true }), noisy);
    for (let i = 0; i < 300; i++, tick++) {
      try {
        const {
          Speed,
          TraveledDistance,
          'Powertrain.FuelSystem.RelativeLevel': fuel,
          ...rest
        } = values(poll(vehicle, device));
        good++;
        expect(Speed).toBe(now().speedKmh);
        if (TraveledDistance !== undefined) expect(TraveledDistance).toBe(Math.floor(now().odometerKm * 10) / 10);
        if (fuel !== undefined) expect(Math.abs((fuel as number) - now().fuelPercent)).toBeLessThan(0.3);
        expect(rest).toEqual({ 'VehicleIdentification.VIN': GOOD_VIN });
      } catch (error) {
        if (!(error instanceof SerialFault)) throw error;
      }
    }
  }
  expect(good).toBeGreaterThan(700);
});

it('a profile that says what a PID is not is refused', () => {
  const create = (from: object) =>
    obd.create({
      settings: { protocol: '0', searchSeconds: 20 },
      device: {},
      values: [{ name: 'x', billed: false, required: false, scale: 1, from: from as never }],
      medium: 'tty',
      secret: () => new Uint8Array(),
      mark: () => undefined,
      nextNumber: () => 0,
    });
  expect(() => create({ request: '010C', bytes: 1 })).toThrow('it has 2 bytes, not 1');
  expect(() => create({ request: '0170' })).toThrow('say how many bytes');
  expect(() => create({ request: '0105', type: 'vin' })).toThrow(EdgeError);
  expect(() => create({ request: '0142', at: 1, size: 2 })).toThrow('beyond its 2 bytes');
  expect(() => create({ request: '0105', offset: -40 })).not.toThrow();
});

describe('probe', () => {
  const probe = (elm: ElmStation) => drive(obd.probe!.ask!() as never, wire(elm).answer) as unknown;
  it('finds the adapter, the protocol and the VIN', () => {
    expect(probe(station())).toEqual([
      { profile: 'vehicle-obd', device: { vin: GOOD_VIN }, about: 'ELM327 v1.5, ISO 15765-4 (CAN 11 bit, 500 kbit/s)' },
    ]);
    const off = station();
    off.faults.ignition = false;
    expect(probe(off)).toMatchObject([{ device: {}, about: expect.stringContaining('is the ignition on?') as string }]);
    const silent = station();
    silent.faults.silent = true;
    expect(probe(silent)).toEqual([]);
    expect(probe(station({ version: 'Welcome to a modem' }))).toEqual([]);
  });
});
