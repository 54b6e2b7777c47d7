/** What a Modbus TCP device says. An answer must stand whole in what was heard, under its own transaction and unit. */
import { TcpParser } from '../../edge/drivers/modbus/tcp.ts';
import { EdgeError } from '../../edge/errors.ts';
import type { Target } from './fuzz.ts';
import { mutate } from './mutate.ts';

const TRANSACTION = 0x1234;
const UNIT = 1;
const REGISTERS = 4;

/** What the socket would have to carry for this answer: MBAP header and PDU (Messaging Guide section 3.1.3). */
const frameOf = (pdu: readonly number[]): Buffer =>
  Buffer.from([TRANSACTION >> 8, TRANSACTION & 255, 0, 0, 0, 1 + pdu.length, UNIT, ...pdu]);

export const modbusTcp: Target = {
  name: 'modbus-tcp',
  judge: (bytes, below) => {
    const parser = new TcpParser(TRANSACTION, UNIT, { functionCode: 3, address: 0, count: REGISTERS });
    for (let at = 0; at < bytes.length; ) {
      const next = Math.min(at + 1 + below(12), bytes.length);
      const answer = parser.push(bytes.subarray(at, next));
      at = next;
      if (!answer) continue;
      const pdu =
        'words' in answer
          ? [3, 2 * REGISTERS, ...Array.from(answer.words, (w) => [w >> 8, w & 255]).flat()]
          : [0x83, answer.exception];
      if ('words' in answer && answer.words.length !== REGISTERS) return `${answer.words.length} registers`;
      return Buffer.from(bytes.subarray(0, at)).includes(frameOf(pdu))
        ? undefined
        : `an answer that nobody gave: ${JSON.stringify(answer)}`;
    }
    throw new EdgeError('REQUEST_INVALID', 'no answer in it');
  },
  // The header is right, and what it carries is nonsense.
  change: (original, other, below) =>
    frameOf([...mutate(original.subarray(7), other.subarray(7), below)].slice(0, 254)),
};
