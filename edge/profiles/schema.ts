/** The file of a profile: each key, with what it may be. What a driver needs beside it has the driver's own schemas. */
import Type, { type Static } from 'typebox';
import { MAX_NAME, MAX_UNIT } from '../wire/senml.ts';

const text = (description: string, maxLength: number) =>
  Type.String({ description, maxLength, pattern: '^[\\x20-\\x7e]+$' });
const oneOf = <const V extends string>(description: string, ...values: V[]) => Type.Enum(values, { description });

export const NAME = '^[a-z][a-z0-9-]{0,62}$';

export const ValueSchema = Type.Object(
  {
    name: text('OBIS code, VSS path or another name, as it is signed.', MAX_NAME),
    unit: Type.Optional(text('Of RFC 8428 section 12.1 where it has one.', MAX_UNIT)),
    type: Type.Enum(['number', 'string', 'boolean'], { default: 'number' }),
    billed: Type.Boolean({
      default: false,
      description: 'The register that is billed: unsigned whole Wh, and first in each pack.',
    }),
    required: Type.Boolean({ default: false, description: 'Without it there is no reading.' }),
    scale: Type.Number({
      default: 1,
      minimum: -1e12,
      maximum: 1e12,
      description: 'What a driver reads is multiplied by it: 10, 0.001, or -1 where the sign is the other way round.',
    }),
    from: Type.Optional(Type.Unknown({ description: 'Where the driver finds it, by its own schema.' })),
    range: Type.Optional(
      Type.Tuple([Type.Number(), Type.Number()], {
        description: 'Least and most, in its unit. A reading with a value outside lies in quarantine.',
      }),
    ),
    modulus: Type.Optional(
      Type.Number({
        exclusiveMinimum: 0,
        description: 'A register, which begins anew from 0 where it would reach this.',
      }),
    ),
    mostPerHour: Type.Optional(
      Type.Number({
        minimum: 0,
        description: 'A register, which rises by at most so much in an hour. More makes its reading Uncertain.',
      }),
    ),
  },
  { additionalProperties: false },
);

/** Of the least and the most that a port can do; which of it a device has, its manual says. */
export const LineSchema = Type.Object(
  {
    baudRate: Type.Optional(Type.Integer({ minimum: 50, maximum: 4_000_000 })),
    dataBits: Type.Optional(Type.Enum([7, 8])),
    parity: Type.Optional(Type.Enum(['none', 'even', 'odd'])),
    stopBits: Type.Optional(Type.Enum([1, 2])),
  },
  { additionalProperties: false },
);

export const MOST_VALUES = 500;

export const ProfileSchema = Type.Object(
  {
    title: text('The device in a few words.', 200),
    kind: Type.Optional(
      Type.String({
        pattern: NAME,
        description: 'The kind that such devices are enrolled as: another profile. Without it this is one itself.',
      }),
    ),
    driver: Type.Optional(
      Type.String({ description: 'How the gateway reads them. Without one they publish over MQTT only.' }),
    ),
    line: Type.Optional(LineSchema),
    everySeconds: Type.Number({ default: 10, minimum: 0.05, maximum: 86_400 }),
    priority: Type.Enum(['high', 'normal', 'low'], { default: 'normal' }),
    privacy: Type.Optional(oneOf('Who may read it in the open log.', 'public', 'sealed')),
    custody: Type.Optional(oneOf('Who holds the keys of such devices.', 'gateway', 'device', 'either')),
    rate: Type.Optional(
      oneOf('What a full disk does: energy is refused before it is lost, location is thinned.', 'energy', 'location'),
    ),
    open: Type.Optional(Type.Boolean({ description: 'Such devices may tell more than values has.' })),
    settings: Type.Unknown({ default: {}, description: 'Of the driver, by its own schema.' }),
    values: Type.Array(ValueSchema, { default: [], maxItems: MOST_VALUES }),
  },
  { additionalProperties: false },
);

export type ProfileFile = Static<typeof ProfileSchema>;
