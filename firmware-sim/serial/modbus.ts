/**
 * A Modbus slave on a wire or behind a socket: what it answers is a matter of its registers. Faults on demand. Written
 * apart from the gateway's side.
 */
import { createServer, type Server, type Socket } from 'node:net';
import {
  frame,
  ILLEGAL_DATA_ADDRESS,
  ILLEGAL_DATA_VALUE,
  ILLEGAL_FUNCTION,
  READ_HOLDING_REGISTERS,
  READ_INPUT_REGISTERS,
  type Request,
  RequestFramer,
} from './rtu.ts';
import type { Say, WireStation } from './station.ts';

/**
 * Holding registers (3) or input registers (4) from an address on; undefined where the device has not all of them, null
 * where it has none of that sort at all.
 */
export type Registers = (functionCode: number, address: number, count: number) => readonly number[] | undefined | null;

/** What goes wrong in one slave. All may be changed while it runs. */
export type SlaveFaults = {
  silent: boolean;
  /** Answer every request with this exception. */
  exception: number | undefined;
  /** Answer so many requests with exception 6, busy, and then rightly. */
  busy: number;
  /** Answer this late. */
  delayMs: number;
};

export const noFaults = (): SlaveFaults => ({ silent: false, exception: undefined, busy: 0, delayMs: 0 });

/**
 * Function and data of the answer, or undefined where there is none. Application Protocol section 6.3: the function,
 * else exception 1; quantity 1 to 125, else 3; the address range, else 2.
 */
export function respond(request: Request, registers: Registers, faults = noFaults()): number[] | undefined {
  const { functionCode, data } = request;
  if (faults.silent) return undefined;
  const refuse = (code: number) => [functionCode | 0x80, code];
  if (faults.exception !== undefined) return refuse(faults.exception);
  if (faults.busy > 0) {
    faults.busy--;
    return refuse(6);
  }
  if (functionCode !== READ_HOLDING_REGISTERS && functionCode !== READ_INPUT_REGISTERS) return refuse(ILLEGAL_FUNCTION);
  const [a = 0, b = 0, c = 0, d = 0] = data;
  const count = (c << 8) | d;
  if (count < 1 || count > 125) return refuse(ILLEGAL_DATA_VALUE);
  const words = registers(functionCode, (a << 8) | b, count);
  if (words === null) return refuse(ILLEGAL_FUNCTION);
  if (words === undefined) return refuse(ILLEGAL_DATA_ADDRESS);
  return [functionCode, 2 * count, ...words.flatMap((w) => [(w >>> 8) & 0xff, w & 0xff])];
}

export class ModbusStation implements WireStation {
  readonly unitId: number;
  readonly faults: SlaveFaults;
  /** Requests to this slave that were whole. */
  requests = 0;
  readonly #registers: Registers;
  readonly #timers = new Set<NodeJS.Timeout>();
  #framer = new RequestFramer();
  #say: Say | undefined;

  constructor(unitId: number, registers: Registers, faults = noFaults()) {
    this.unitId = unitId;
    this.#registers = registers;
    this.faults = faults;
  }

  plug(say: Say): void {
    this.#say = say;
    this.#framer = new RequestFramer();
  }

  hear(chunk: Uint8Array): void {
    for (const request of this.#framer.push(chunk)) this.#serve(request);
  }

  silence(): void {
    const request = this.#framer.silence();
    if (request !== undefined) this.#serve(request);
  }

  unplug(): void {
    this.#say = undefined;
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
  }

  #serve(request: Request): void {
    if (request.unitId !== this.unitId) return;
    this.requests++;
    const pdu = respond(request, this.#registers, this.faults);
    if (pdu === undefined) return;
    const bytes = frame(this.unitId, ...pdu);
    if (this.faults.delayMs === 0) {
      this.#say?.(bytes);
      return;
    }
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      this.#say?.(bytes);
    }, this.faults.delayMs);
    this.#timers.add(timer);
  }
}

export type ModbusTcpTwin = { port: number; faults: SlaveFaults; stop(): Promise<void> };

/** Modbus TCP on the loopback: one device, any unit identifier in `units`; of others it says 11, as a gateway does. */
export async function startModbusTcp(options: {
  units: readonly number[];
  registers: Registers;
  port?: number;
}): Promise<ModbusTcpTwin> {
  const faults = noFaults();
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    let waiting = Buffer.alloc(0);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
    socket.on('data', (chunk: Buffer) => {
      waiting = Buffer.concat([waiting, chunk]);
      while (waiting.length >= 8 && waiting.length >= 6 + waiting.readUInt16BE(4)) {
        const adu = waiting.subarray(0, 6 + waiting.readUInt16BE(4));
        waiting = waiting.subarray(adu.length);
        // Not Modbus, or no function in it.
        if (adu.readUInt16BE(2) !== 0 || adu.length < 8) {
          socket.destroy();
          return;
        }
        const unitId = adu[6] as number;
        const functionCode = adu[7] as number;
        const known = options.units.includes(unitId);
        const pdu = known
          ? respond({ unitId, functionCode, data: adu.subarray(8) }, options.registers, faults)
          : [functionCode | 0x80, 11];
        if (pdu === undefined) continue;
        const length = pdu.length + 1;
        const answer = Buffer.of(adu[0] as number, adu[1] as number, 0, 0, length >> 8, length & 255, unitId, ...pdu);
        if (faults.delayMs > 0) setTimeout(() => socket.write(answer), faults.delayMs).unref();
        else socket.write(answer);
      }
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port ?? 0, '127.0.0.1', resolve);
  });
  return {
    port: (server.address() as { port: number }).port,
    faults,
    stop: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy();
        server.close(() => resolve());
      }),
  };
}
