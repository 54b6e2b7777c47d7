/** A register map that the profile gives, for devices without SunSpec. */
import Type from 'typebox';
import { EdgeError } from '../../errors.ts';
import type { DriverType, Job, PolledDriver, Setup, Value } from '../driver.ts';
import { type Raw, recordsOf } from '../records.ts';
import { MAX_REGISTERS, type ReadFunction } from './pdu.ts';
import { type Forbidden, plan, type Request } from './plan.ts';
import { probe } from './probe.ts';
import { DEVICE, type Device, isAbsent, Slave, TIMEOUT } from './slave.ts';
import { bitOf, decodeNumber, decodeText, NUMBER_TYPES, type NumberType, type WordOrder, wordsOf } from './words.ts';

type From = {
  register: number;
  type: NumberType | 'string';
  wordOrder?: WordOrder;
  bit?: number;
  function?: ReadFunction;
  length?: number;
  none?: number;
};

type Settings = {
  function?: ReadFunction;
  wordOrder?: WordOrder;
  mostRegisters?: number;
  forbidden?: Forbidden[];
  timeoutMs?: number;
};

/** A value and its registers. */
type Cell = { address: number; count: number; functionCode: ReadFunction; value: Value<From> };

const countOf = ({ type, length }: From): number => (type === 'string' ? (length ?? 1) : wordsOf(type));

function decode({ type, wordOrder, bit, none }: From, words: Uint16Array, order: WordOrder): Raw {
  if (type === 'string') return decodeText(words);
  const value = decodeNumber(type, words, wordOrder ?? order);
  if (value === undefined || (none !== undefined && Number(value) === none)) return undefined;
  return bit === undefined ? value : bitOf(value, bit);
}

function create({ settings, device, values, medium }: Setup<Settings, Device, From>): PolledDriver {
  const slave = new Slave(device, medium, settings.timeoutMs);
  const order = settings.wordOrder ?? 'high-first';
  const cells = values.map((value): Cell => {
    const count = countOf(value.from);
    if (value.from.bit !== undefined && value.from.bit >= 16 * count)
      throw new EdgeError('CONFIG_INVALID', `${value.name}: ${value.from.type} has no bit ${value.from.bit}`);
    if (value.from.register + count > 65536)
      throw new EdgeError('CONFIG_INVALID', `${value.name}: its registers run past 65535`);
    return { address: value.from.register, count, functionCode: value.from.function ?? settings.function ?? 3, value };
  });
  const limits = { most: settings.mostRegisters ?? MAX_REGISTERS, forbidden: settings.forbidden ?? [] };
  const requestsOf = (all: readonly Cell[], bridge: boolean): Request<Cell>[] =>
    ([3, 4] as const).flatMap((code) =>
      plan(
        all.filter((c) => c.functionCode === code),
        { ...limits, bridge },
      ),
    );
  let first: Request<Cell>[];
  try {
    first = requestsOf(cells, true);
  } catch (error) {
    if (error instanceof RangeError) throw new EdgeError('CONFIG_INVALID', error.message);
    throw error;
  }
  /** What is asked of this device: less is joined once it refused. */
  let requests = first;
  let known = false;

  /** A refused request is asked again in parts: the device has gaps, or less at once than the standard allows. */
  const parts = (request: Request<Cell>): Request<Cell>[] => {
    const apart = requestsOf(request.spans, false);
    return apart.length > 1
      ? apart
      : request.spans.map((span) => ({ address: span.address, count: span.count, spans: [span] }));
  };

  return {
    reset() {
      requests = first;
      known = false;
    },
    discovered: () => known,
    about: () => undefined,
    *poll(turn): Job {
      const read = new Map<Value<From>, Raw>();
      let atMs = turn.heardAtMs();
      const billed = values.find((v) => v.billed);
      const todo = [...requests];
      const done: Request<Cell>[] = [];
      for (let request = todo.shift(); request !== undefined; request = todo.shift()) {
        const { address, count, spans } = request;
        let words: Uint16Array;
        try {
          words = yield* slave.read({ functionCode: (spans[0] as Cell).functionCode, address, count });
        } catch (error) {
          if (!isAbsent(error)) throw error;
          if (spans.length > 1) {
            todo.unshift(...parts(request));
            continue;
          }
          const { value } = spans[0] as Cell;
          if (value.required || value.billed) throw error;
          // It does not have this value, and is not asked for it again until the next reset.
          continue;
        }
        done.push(request);
        for (const cell of spans) {
          const from = cell.address - address;
          read.set(cell.value, decode(cell.value.from, words.subarray(from, from + cell.count), order));
        }
        if (billed === undefined || spans.some((s) => s.value === billed)) atMs = turn.heardAtMs();
      }
      requests = done;
      known = true;
      return [{ records: recordsOf(values, (_from, value) => read.get(value)), quality: 'Good', atMs }];
    },
  };
}

const FUNCTION = Type.Optional(
  Type.Union([Type.Literal(3), Type.Literal(4)], {
    description: 'Modbus function: 3 reads holding registers (default), 4 input registers.',
  }),
);

const WORD_ORDER = Type.Optional(
  Type.Union([Type.Literal('high-first'), Type.Literal('low-first')], {
    description:
      'Which register of a number of two or four comes first: that with its high bits (default) or its low bits.',
  }),
);

const REGISTER = (description: string) => Type.Integer({ minimum: 0, maximum: 65535, description });

export const modbus: DriverType<Settings, Device, From> = {
  says: 'Devices over Modbus RTU or Modbus TCP, by a register map in the profile.',
  media: ['tty', 'tcp'],
  line: { baudRate: 9600, dataBits: 8, parity: 'none', stopBits: 1 },
  settings: Type.Object(
    {
      function: FUNCTION,
      wordOrder: WORD_ORDER,
      mostRegisters: Type.Optional(
        Type.Integer({
          minimum: 1,
          maximum: MAX_REGISTERS,
          description: 'Most registers that such devices give in one answer. Default 125, the most of the standard.',
        }),
      ),
      forbidden: Type.Optional(
        Type.Array(Type.Tuple([REGISTER('First register.'), REGISTER('Last register.')]), {
          description: 'Ranges that are never read, not even between two values: [first, last].',
        }),
      ),
      timeoutMs: TIMEOUT,
    },
    { additionalProperties: false },
  ),
  device: DEVICE,
  from: Type.Object(
    {
      register: REGISTER(
        'Address of the first register as it goes over the wire, from 0: 30073 in a manual is mostly 72.',
      ),
      type: Type.Union([...NUMBER_TYPES.map((t) => Type.Literal(t)), Type.Literal('string')], {
        description: 'What the registers hold.',
      }),
      wordOrder: WORD_ORDER,
      bit: Type.Optional(
        Type.Integer({
          minimum: 0,
          maximum: 63,
          description: 'The value is this bit of the integer, 0 the lowest: true or false.',
        }),
      ),
      function: FUNCTION,
      length: Type.Optional(
        Type.Integer({ minimum: 1, maximum: MAX_REGISTERS, description: 'Of a string: how many registers it takes.' }),
      ),
      none: Type.Optional(
        Type.Number({ description: 'What the device says, before scale, where it has no value: 65535, -32768.' }),
      ),
    },
    { additionalProperties: false },
  ),
  create,
  probe,
};
