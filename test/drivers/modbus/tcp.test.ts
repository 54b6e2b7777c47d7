import { connect, type Socket } from 'node:net';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Exchange, PolledDriver, Reading } from '../../../edge/drivers/driver.ts';
import { SerialFault } from '../../../edge/drivers/fault.ts';
import { TcpParser, tcpRequest } from '../../../edge/drivers/modbus/tcp.ts';
import { sdm630 } from '../../../firmware-sim/serial/maps.ts';
import { startModbusTcp } from '../../../firmware-sim/serial/modbus.ts';
import { TURN } from '../drive.ts';
import { make } from './slave.ts';

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const READ = { functionCode: 3, address: 107, count: 2 } as const;
const answer = (transaction: number, unit: number, ...pdu: number[]) =>
  Uint8Array.of(transaction >> 8, transaction & 255, 0, 0, 0, pdu.length + 1, unit, ...pdu);

/** A driver's poll over a real socket. */
async function poll(driver: PolledDriver, socket: Socket): Promise<Reading[]> {
  const job = driver.poll(TURN);
  let step = job.next();
  while (!step.done) {
    const { send, parser } = step.value as Exchange;
    const found = await new Promise((resolve, reject) => {
      const hear = (chunk: Buffer) => {
        const got = parser.push(chunk);
        if (got === undefined) return;
        socket.off('data', hear);
        resolve(got);
      };
      socket.on('data', hear);
      socket.once('error', reject);
      socket.write(send);
    });
    step = job.next(found);
  }
  return step.value;
}

describe('Modbus TCP', () => {
  it('writes a request as the implementation guide has it, and refuses what does not fit', () => {
    expect(hex(tcpRequest(0x1501, 0xff, READ))).toBe('150100000006ff03006b0002');
    expect(() => tcpRequest(0, 256, READ)).toThrow(RangeError);
    expect(() => tcpRequest(0, 1, { ...READ, count: 126 })).toThrow(RangeError);
  });

  it('takes only the answer to this transaction, unit, function and length, in any pieces', () => {
    const right = answer(7, 1, 3, 4, 0, 1, 0, 2);
    const wrong = [
      answer(6, 1, 3, 4, 9, 9, 9, 9),
      answer(7, 2, 3, 4, 9, 9, 9, 9),
      answer(7, 1, 4, 4, 9, 9, 9, 9),
      answer(7, 1, 3, 2, 9, 9),
    ];
    fc.assert(
      fc.property(
        fc.subarray(wrong),
        fc.integer({ min: 1, max: 9 }),
        fc.uint8Array({ maxLength: 6 }),
        (late, size, cut) => {
          const heard = Uint8Array.from([...cut.filter((b) => b !== 0), ...late.flatMap((l) => [...l]), ...right]);
          const parser = new TcpParser(7, 1, READ);
          let found: unknown;
          for (let at = 0; at < heard.length && found === undefined; at += size)
            found = parser.push(heard.subarray(at, at + size));
          expect(found).toEqual({ words: Uint16Array.of(1, 2) });
        },
      ),
      { seed: 1, numRuns: 300 },
    );
    expect(new TcpParser(7, 1, READ).push(answer(7, 1, 0x83, 2))).toEqual({ exception: 2 });
    for (const bytes of wrong) expect(new TcpParser(7, 1, READ).push(bytes)).toBeUndefined();
  });

  it('no bytes crash it, nor become an answer that they do not hold', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.oneof(fc.uint8Array({ maxLength: 40 }), fc.constant(answer(7, 1, 3)), fc.constant(answer(7, 1, 3, 4, 0))),
        ),
        (chunks) => {
          const parser = new TcpParser(7, 1, READ);
          const all: number[] = [];
          for (const chunk of chunks) {
            all.push(...chunk);
            const found = parser.push(chunk);
            if (found === undefined) continue;
            const pdu =
              'words' in found
                ? [3, 4, ...[...found.words].flatMap((w) => [w >> 8, w & 255])]
                : [0x83, found.exception];
            expect(Buffer.from(all).includes(Buffer.from(answer(7, 1, ...pdu)))).toBe(true);
            return;
          }
        },
      ),
      { seed: 2, numRuns: 2000 },
    );
  });

  it('is the same driver over a socket, also to a device behind a gateway; one that is silent there is no answer', async () => {
    const twin = await startModbusTcp({
      units: [3],
      registers: sdm630(() => ({ importWh: 98_765n, exportWh: 0n, powerW: 10, volts: [220, 220, 220], hertz: 60 })),
    });
    const socket = connect(twin.port, '127.0.0.1');
    const value = { name: '1-0:1.8.0', unit: 'Wh', billed: true, scale: 1000, from: { register: 72, type: 'float32' } };
    const driver = (unitId: number) => make('modbus', { function: 4 }, [value], { medium: 'tcp', device: { unitId } });
    try {
      const meter = driver(3);
      for (let i = 0; i < 3; i++)
        expect((await poll(meter, socket))[0]?.records).toEqual([{ n: '1-0:1.8.0', u: 'Wh', v: 98_765 }]);
      await expect(poll(driver(4), socket)).rejects.toMatchObject({ kind: 'no-answer', exception: 11 });
      await expect(poll(driver(4), socket)).rejects.toBeInstanceOf(SerialFault);
    } finally {
      socket.destroy();
      await twin.stop();
    }
  });
});
