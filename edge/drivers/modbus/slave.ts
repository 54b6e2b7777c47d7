/** One slave, as its drivers read it: over a serial line or a socket, asked again where that may help. */
import Type from 'typebox';
import { EdgeError } from '../../errors.ts';
import { ask, type Exchange, type Medium } from '../driver.ts';
import { SerialFault } from '../fault.ts';
import {
  ACKNOWLEDGE,
  type Answer,
  answerPduBytes,
  BUSY,
  exceptionName,
  ILLEGAL_ADDRESS,
  ILLEGAL_VALUE,
  type Read,
  TARGET_SILENT,
} from './pdu.ts';
import { MAX_UNIT_ID, RTU_EXTRA_BYTES, RtuParser, rtuRequest } from './rtu.ts';
import { MAX_TCP_UNIT_ID, MBAP_BYTES, TcpParser, tcpRequest } from './tcp.ts';

/** How frames stand on the medium. */
export type Framing = 'rtu' | 'tcp';

/** Registers, or a SerialFault where the slave does not give them. */
export type Words = Generator<Exchange, Uint16Array, unknown>;

/** A damaged answer comes from a slave that is there: ask again at once, this often. */
const RETRIES = 2;

/** A slave that is busy is asked again after so many ms, and then given up for this poll: section 7, codes 5 and 6. */
const BUSY_MS: readonly number[] = [50, 100, 200];

export const DEVICE = Type.Object(
  {
    unitId: Type.Integer({
      minimum: 0,
      maximum: MAX_TCP_UNIT_ID,
      description:
        'The address of the slave on the line, 1 to 247. Over TCP also 0 or 255, for a device that is no gateway.',
    }),
    framing: Type.Optional(
      Type.Union([Type.Literal('rtu'), Type.Literal('tcp')], {
        description:
          'How frames stand on a TCP connection: tcp (Modbus TCP), or rtu where the other end is a plain serial converter that only carries bytes. On a serial port always rtu.',
      }),
    ),
  },
  { additionalProperties: false },
);

export type Device = { unitId: number; framing?: Framing };

export const TIMEOUT = Type.Optional(
  Type.Integer({
    minimum: 10,
    maximum: 30_000,
    description: 'How long such devices may think before they answer, ms. Default: the timeoutMs of the port.',
  }),
);

export class Slave {
  readonly unitId: number;
  readonly #framing: Framing;
  readonly #timeoutMs: number | undefined;
  /** Of the last request. Never reset, so that a late answer is never one to a later request. */
  #transaction = 0;

  /** @throws EdgeError CONFIG_INVALID */
  constructor(device: Device, medium: Medium, timeoutMs?: number) {
    this.unitId = device.unitId;
    this.#framing = medium === 'tty' ? 'rtu' : (device.framing ?? 'tcp');
    this.#timeoutMs = timeoutMs;
    if (medium === 'tty' && device.framing === 'tcp')
      throw new EdgeError('CONFIG_INVALID', 'framing tcp: on a serial port frames are rtu; leave framing out');
    if (this.#framing === 'rtu' && (device.unitId < 1 || device.unitId > MAX_UNIT_ID))
      throw new EdgeError('CONFIG_INVALID', `unitId ${device.unitId}: in rtu frames it is 1 to ${MAX_UNIT_ID}`);
  }

  /**
   * @throws SerialFault exception; no-answer also where a gateway says that the slave behind it is silent; and what
   * came of the line
   */
  *read(read: Read): Words {
    let afterMs: number | undefined;
    for (let damaged = 0, busy = 0; ; ) {
      let answer: Answer;
      try {
        answer = yield* ask(this.#exchange(read, afterMs));
      } catch (error) {
        if (error instanceof SerialFault && error.kind === 'corrupt' && damaged++ < RETRIES) continue;
        throw error;
      }
      if ('words' in answer) return answer.words;
      const { exception } = answer;
      afterMs = exception === BUSY || exception === ACKNOWLEDGE ? BUSY_MS[busy++] : undefined;
      if (afterMs !== undefined) continue;
      throw refusal(exception, read);
    }
  }

  #exchange(read: Read, afterMs: number | undefined): Exchange<Answer> {
    const { unitId } = this;
    const times = {
      ...(this.#timeoutMs === undefined ? {} : { timeoutMs: this.#timeoutMs }),
      ...(afterMs === undefined ? {} : { afterMs }),
    };
    if (this.#framing === 'rtu')
      return {
        send: rtuRequest(unitId, read),
        parser: new RtuParser(unitId, read),
        answerBytes: answerPduBytes(read.count) + RTU_EXTRA_BYTES,
        ...times,
      };
    this.#transaction = (this.#transaction + 1) & 0xffff;
    return {
      send: tcpRequest(this.#transaction, unitId, read),
      parser: new TcpParser(this.#transaction, unitId, read),
      answerBytes: answerPduBytes(read.count) + MBAP_BYTES,
      ...times,
    };
  }
}

function refusal(exception: number, { address, count }: Read): SerialFault {
  const where = `for registers ${address} to ${address + count - 1}`;
  if (exception === TARGET_SILENT)
    return new SerialFault(
      'no-answer',
      `the gateway had no answer from it (exception ${exception}) ${where}`,
      exception,
    );
  return new SerialFault('exception', `exception ${exception} (${exceptionName(exception)}) ${where}`, exception);
}

/** The slave does not have such registers, or not so many at once. */
export const isAbsent = (error: unknown): error is SerialFault =>
  error instanceof SerialFault && (error.exception === ILLEGAL_ADDRESS || error.exception === ILLEGAL_VALUE);
