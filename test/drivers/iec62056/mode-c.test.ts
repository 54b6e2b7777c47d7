import { describe, expect, it } from 'vitest';
import type { Exchange, PolledDriver, Reading } from '../../../edge/drivers/driver.ts';
import { withEvenParity } from '../../../edge/drivers/iec62056/parity.ts';
import { ModeCMeter, ModeDMeter, sevenBit } from '../../../firmware-sim/serial/iec.ts';
import { P1Meter } from '../../../firmware-sim/serial/p1.ts';
import { drive, TURN } from '../drive.ts';
import { heard, plain, polled, readings } from './setup.ts';

const NOW = Date.UTC(2024, 0, 15, 12);
const START = [1_234_567, 2_000_001, 7, 0] as const;
const energy = { seed: 1, now: () => NOW, powerW: () => 500, startWh: START };

/** What is said after `/?`, and after the acknowledgement. */
const read = (
  driver: PolledDriver,
  ident: string | Uint8Array,
  block: Uint8Array | undefined,
  seen: Exchange[] = [],
): Reading[] =>
  drive(driver.poll(TURN), (sent, exchange) => {
    seen.push(exchange);
    const said = Buffer.from(sent.map((b) => b & 0x7f)).toString('latin1');
    if (said.startsWith('/?')) return [typeof ident === 'string' ? sevenBit(ident) : ident];
    return block === undefined ? [] : [block];
  });

describe('mode C', () => {
  const meter = new ModeCMeter({ ...energy, address: '00012345' });

  it('signs on at 300 baud, acknowledges what the meter offers, and reads at that rate', () => {
    const seen: Exchange[] = [];
    const driver = polled('meter-iec', { address: '12345' });
    const [reading] = read(driver, '/EMH5\\2ITZ4\r\n', meter.block(), seen);
    expect(reading?.quality).toBe('Good');
    expect(reading?.records[0]).toEqual({ n: '1-0:1.8.0', u: 'Wh', v: 3_234_568 });
    expect(plain(reading?.records ?? [])).toEqual({ '1-0:1.8.0': 3_234_568, '1-0:2.8.0': 7, '1-0:0.0.0': '00012345' });
    expect(
      seen.map(({ send, baudRate, thenBaudRate }) => [Buffer.from(send).toString('hex'), baudRate, thenBaudRate]),
    ).toEqual([
      // IEC 62056-21 section 6.3.1, with even parity: / is AF, ? 3F, ! 21, CR 8D, LF 0A
      ['af3fb1b233b435218d0a', 300, undefined],
      // ACK, 0, 5, 0
      ['0630353 08d0a'.replace(' ', ''), undefined, 9600],
    ]);
    expect(driver.whole).toBe(true);
    expect(driver.about()).toBe('EMH5\\2ITZ4');
  });

  it.each([
    ['0', '0', undefined],
    ['3', '3', 2400],
    // Faster than the head can: it stays where it is.
    ['6', '0', undefined],
  ])('to baud character %s it says %s', (offered, said, rate) => {
    const seen: Exchange[] = [];
    read(polled('meter-iec'), `/EMH${offered}x\r\n`, meter.block(), seen);
    expect(seen[1]?.send).toEqual(withEvenParity(`\x060${said}0\r\n`));
    expect(seen[1]?.thenBaudRate).toBe(rate);
  });

  it('hears its own echo, and bytes whose parity the line has taken off', () => {
    const plainBits = meter.block().map((b) => b & 0x7f);
    const ident = Buffer.concat([withEvenParity('/?!\r\n'), sevenBit('/EMH5x\r\n')]);
    expect(read(polled('meter-iec'), ident, Buffer.concat([withEvenParity('\x06050\r\n'), plainBits]))).toHaveLength(1);
  });

  it('asks three times where the block is damaged, and no change of one byte makes a value', () => {
    const block = meter.block();
    for (let i = 0; i < block.length; i++) {
      for (const flip of [1 << (i % 8), 0x03]) {
        const damaged = Uint8Array.from(block);
        damaged[i] = (damaged[i] as number) ^ flip;
        const seen: Exchange[] = [];
        const all = (() => {
          try {
            return read(polled('meter-iec'), '/EMH5x\r\n', damaged, seen);
          } catch (error) {
            return [error];
          }
        })();
        expect(all, `byte ${i}`).toEqual([expect.objectContaining({ kind: i === 0 ? 'no-answer' : 'corrupt' })]);
        expect(seen).toHaveLength(i === 0 ? 2 : 6);
      }
    }
  });

  it('is a mismatch where another meter answers, or one that speaks another mode', () => {
    expect(() => read(polled('meter-iec', { address: 777 }), '/EMH5x\r\n', meter.block())).toThrow(
      'meter 00012345 answers',
    );
    expect(() => read(polled('meter-iec'), '/EMHAx\r\n', meter.block())).toThrow('speaks mode A, B or another one');
  });

  it('wakes up a meter that sleeps', () => {
    const seen: Exchange[] = [];
    read(polled('meter-iec', {}, { wakeUp: true }), '/EMH5x\r\n', meter.block(), seen);
    expect(seen[0]?.send).toEqual(new Uint8Array(66)); // 2.2 s at 300 baud
  });
});

describe('mode D', () => {
  it('is believed with its second telegram, and Uncertain', () => {
    let now = NOW;
    const meter = new ModeDMeter({ ...energy, now: () => now });
    const driver = heard('meter-iec-push', { address: '1ESY1160000001' });
    expect(driver.hear(meter.telegram(), now)).toEqual([]);
    now += 60_000;
    const [reading] = readings(driver.hear(meter.telegram(), now));
    expect(reading?.quality).toBe('Uncertain: the telegram has no checksum, only parity');
    // 500 W for a minute are 8.33 Wh, from whole Wh in tariff 2.
    expect(plain(reading?.records ?? [])).toEqual({
      '1-0:1.8.0': 3_234_576,
      '1-0:2.8.0': 7,
      '1-0:16.7.0': 500,
      '1-0:0.0.0': '1ESY1160000001',
    });
  });
});

describe('the P1 twin, which has its own checksum and its own clock on the wall', () => {
  it.each(['4.2', '5.0'] as const)('version %s in summer and in winter, with gas on channel 2', (version) => {
    for (const now of [
      Date.UTC(2024, 6, 1, 10, 7),
      Date.UTC(2024, 0, 1, 10, 7),
      Date.UTC(2023, 9, 29, 0, 30),
      Date.UTC(2023, 9, 29, 1, 30),
    ]) {
      const meter = new P1Meter({
        ...energy,
        now: () => now,
        version,
        gasChannel: 2,
        gasDm3: () => 1234,
        message: 'Hi',
      });
      const [reading] = readings(heard('meter-p1').hear(meter.telegram(), now));
      const every = version === '5.0' ? 300_000 : 3_600_000;
      expect(plain(reading?.records ?? [])).toMatchObject({
        '1-0:1.8.0': 3_234_568,
        '1-0:1.7.0': 500,
        '7-0:3.0.0': [1.234, new Date(Math.floor(now / every) * every).toISOString()],
        '0-0:96.13.0': 'Hi',
      });
    }
  });

  it('version 2.2 with parity, its season by the gas status', () => {
    const now = Date.UTC(2023, 9, 29, 0, 30);
    const meter = new P1Meter({ ...energy, now: () => now, version: '2.2', gasChannel: 1, gasDm3: () => 1234 });
    const driver = heard('meter-p1');
    driver.hear(meter.telegram(), now);
    const [reading] = readings(driver.hear(meter.telegram(), now + 10_000));
    expect(reading?.quality).toBe('Uncertain: the telegram has no checksum, only parity');
    expect(plain(reading?.records ?? [])['7-0:3.0.0']).toEqual([1.234, '2023-10-29T00:00:00.000Z']);
  });

  it('a wrong checksum makes nothing, and a gas clock that was never set leaves gas out', () => {
    const meter = new P1Meter({ ...energy, gasChannel: 1 });
    meter.faults.badSum = true;
    expect(readings(heard('meter-p1').hear(meter.telegram(), NOW))).toEqual([]);
    meter.faults.badSum = false;
    meter.faults.gasClockLost = true;
    const [reading] = readings(heard('meter-p1').hear(meter.telegram(), NOW));
    expect(plain(reading?.records ?? [])).not.toHaveProperty('7-0:3.0.0');
  });
});
