/**
 * What mqtt-packet lets through, or collects: up to 256 MiB for one packet before it says a word. It holds the parser
 * of one connection to the standard, and to the caps.
 */
import { EdgeError } from '../errors.ts';

/** What only servers send. */
const FROM_SERVERS: readonly string[] = ['connack', 'suback', 'unsuback', 'pingresp'];

/** The parts of mqtt-packet's parser that are used here. */
export type PacketParser = {
  packet: { cmd: string; length: number; messageId?: number };
  error: Error | null;
  _pos: number;
  _parseLength: () => boolean;
  _parsePayload: () => boolean;
  _emitError: (error: Error) => void;
};

/** @param tooLong answers what is wrong with a packet of so many bytes, if anything is */
export function guardParser(parser: PacketParser, tooLong: (length: number) => string | undefined): void {
  const refuse = (why: string): false => {
    parser._emitError(new EdgeError('PACKET_INVALID', why));
    return false;
  };
  const { _parseLength: parseLength, _parsePayload: parsePayload } = parser;
  parser._parseLength = () => {
    const done = parseLength.call(parser);
    const flaw = done ? tooLong(parser.packet.length) : undefined;
    return flaw === undefined ? done : refuse(flaw);
  };
  parser._parsePayload = () => {
    const done = parsePayload.call(parser);
    if (!done || parser.error) return done;
    const { cmd, messageId, length } = parser.packet;
    if (FROM_SERVERS.includes(cmd)) return refuse(`${cmd} from a client`);
    if (parser._pos > length) return refuse('a packet that ends within a field');
    // [MQTT-2.3.1-1]
    return messageId !== undefined && messageId < 1 ? refuse('a packet identifier of 0') : done;
  };
}
