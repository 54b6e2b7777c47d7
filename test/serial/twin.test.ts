import { existsSync, readFileSync, readlinkSync, symlinkSync, writeFileSync } from 'node:fs';
import modbus from 'modbus-serial';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Inverter, startInverterTwin } from '../../firmware-sim/serial/twin.ts';
import { openTerminals, workFolder } from './rig.ts';

let folder: ReturnType<typeof workFolder>;
beforeEach(() => {
  folder = workFolder();
});
afterEach(() => folder.remove());

const options = { unitId: 7, seed: 3, now: () => 5_000_000, powerW: () => 2500, startWh: 70_001 };

describe('the inverter twin', () => {
  it('a foreign master (modbus-serial) reads it over the tty', async () => {
    const twin = await startInverterTwin({ link: folder.path('tty'), ...options });
    const master = new modbus.default();
    await master.connectRTUBuffered(folder.path('tty'), { baudRate: 9600 });
    master.setID(7);
    master.setTimeout(1000);
    const read = async (address: number, count: number) => (await master.readHoldingRegisters(address, count)).data;

    expect(await read(40000, 4)).toEqual([0x5375, 0x6e53, 1, 66]);
    expect(await read(40070, 2)).toEqual([103, 50]);
    expect(await read(40122, 2)).toEqual([0xffff, 0]);
    expect(await read(40094, 3)).toEqual([70_001 >>> 16, 70_001 & 0xffff, 0]);
    expect(await read(40084, 2)).toEqual([2500, 0]);
    await expect(read(40123, 2)).rejects.toMatchObject({ modbusCode: 2 });
    await expect(master.readInputRegisters(40000, 2)).rejects.toMatchObject({ modbusCode: 1 });
    await expect(master.writeRegister(40000, 2)).rejects.toMatchObject({ modbusCode: 1 });
    // Broadcast: obeyed by nobody, answered by nobody, and the next request is answered as ever.
    master.setID(0);
    master.setTimeout(100);
    await expect(read(40000, 2)).rejects.toThrow('Timed out');
    master.setID(7);
    expect(await read(40000, 2)).toEqual([0x5375, 0x6e53]);

    await new Promise<void>((resolve) => master.close(() => resolve()));
    await twin.stop();
  });

  it('integrates the power exactly, whenever it is asked', () => {
    let now = 0;
    // 1/3 W in mW, a change each second, and a night.
    const powerW = (ms: number) => (ms < 7_200_000 ? ((ms / 1000) % 2 ? 1000 / 3 : 5000) : 0);
    const often = new Inverter({ ...options, now: () => now, powerW });
    const once = new Inverter({ ...options, now: () => now, powerW });
    for (now = 0; now < 9_000_000; now += 777) often.wh;
    now = 9_000_000;
    expect(once.wh).toBe(70_001n + (3600n * (333_333n + 5_000_000n)) / 3_600_000n);
    expect(often.wh).toBe(once.wh);
  });

  it('shows the register at any scale, and past its end', () => {
    const inverter = new Inverter(options);
    inverter.wh = 2n ** 32n + 41n;
    expect(inverter.whRegister).toBe(41);
    inverter.whScale = 3;
    expect(inverter.whRegister).toBe(4_294_967);
    inverter.whScale = -2;
    expect(inverter.whRegister).toBe(Number((100n * (2n ** 32n + 41n)) % 2n ** 32n));
    expect(new Inverter({ ...options, powerW: () => 400_000 }).read(40084, 2)).toEqual([4000, 2]);
  });

  it('keeps the register over a restart where it has an EEPROM', () => {
    const eeprom = folder.path('eeprom');
    const first = new Inverter({ ...options, eeprom });
    first.wh = 123_456n;
    first.read(40000, 2);
    expect(new Inverter({ ...options, eeprom }).wh).toBe(123_456n);
    writeFileSync(eeprom, 'what?');
    expect(() => new Inverter({ ...options, eeprom })).toThrow('does not hold an energy register');
  });

  it('puts a link to its tty, replaces an old one, and cleans up', async () => {
    const before = openTerminals();
    const link = folder.path('tty');
    symlinkSync('/dev/pts/does-not-exist', link);
    const twin = await startInverterTwin({ link, ...options });
    expect(readlinkSync(link)).toBe(twin.path);
    await twin.line.unplug();
    expect(existsSync(link)).toBe(false);
    twin.line.plug();
    expect(readlinkSync(link)).toBe(twin.line.path);
    await twin.stop();
    await twin.stop();
    expect(existsSync(link)).toBe(false);
    writeFileSync(link, 'a file');
    await expect(startInverterTwin({ link, ...options })).rejects.toThrow('is not a symlink');
    expect(readFileSync(link, 'utf8')).toBe('a file');
    expect(openTerminals()).toEqual(before);
  });
});
