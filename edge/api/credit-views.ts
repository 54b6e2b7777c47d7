/** What the API says of certificates and credits, as schemas; the types follow from them. */
import Type, { type Static } from 'typebox';

const Ms = Type.Integer({ description: 'Unix time in milliseconds' });
const Seconds = Type.Integer({ description: 'Unix time in seconds' });
const Wh = Type.Integer({ description: 'Watt-hours' });
const Hash = Type.String({ pattern: '^0x[0-9a-f]{64}$', description: '32 bytes, in hexadecimal' });
const Account = Type.String({ pattern: '^0x[0-9a-fA-F]{40}$', description: 'Account or contract on the chain' });
const Nullable = <T extends Type.TSchema>(type: T) => Type.Union([type, Type.Null()]);

export const CERTIFICATE_STATES = ['ready', 'sent', 'minted', 'refused', 'withdrawn'] as const;
export type CertificateState = (typeof CERTIFICATE_STATES)[number];
/** As the contract counts them (ICredits.Purpose). */
export const PURPOSES = ['own-use', 'k-re100', 'donation', 'rec-application', 'storage-charge'] as const;
export type ClaimPurpose = (typeof PURPOSES)[number];

export const CertificateId = Type.String({
  pattern: '^\\d{18}-\\d{8}T\\d{2}Z-v\\d{1,3}$',
  maxLength: 36,
  description: 'GSRN-like number of the metering point, first hour in UTC, version',
});
/** First day of it is the 1st 00:00 of Korea, which is 15:00Z of the day before. */
export const KstMonth = Type.String({ pattern: '^\\d{4}-(0[1-9]|1[0-2])$', description: 'Month of Korean time' });

export const TransactionView = Type.Object({
  chainId: Type.Integer(),
  contract: Account,
  hash: Hash,
  block: Nullable(Type.Integer({ description: 'Null until it is mined' })),
  time: Nullable(Seconds),
});
export type TransactionView = Static<typeof TransactionView>;

export const CreditClaimView = Type.Object({
  transaction: TransactionView,
  holder: Account,
  wh: Wh,
  purpose: Type.Enum([...PURPOSES]),
  beneficiary: Type.String({ description: '32 bytes in hexadecimal: the hash of who it is for; zero where nobody is' }),
  recipient: Type.String({ description: 'Public text: who receives a donation, or the number of an application' }),
});
export type CreditClaimView = Static<typeof CreditClaimView>;

/** One certificate in a list. */
export const CertificateRowView = Type.Object({
  id: CertificateId,
  version: Type.Integer(),
  meteringPoint: Type.String({ description: 'URN' }),
  device: Type.String({ description: 'DID of the meter' }),
  slot: Seconds,
  start: Type.String({ description: 'First second of its hour, RFC 3339' }),
  end: Type.String({ description: 'First second after it' }),
  wh: Wh,
  claimedWh: Wh,
  state: Type.Enum([...CERTIFICATE_STATES], {
    description:
      'ready: complete, not on its way yet; sent: on its way; minted: a block has it; refused: a rule or the contract said no; withdrawn: corrected or taken back',
  }),
  code: Nullable(Type.String({ description: 'Of a refused one: which rule' })),
  detail: Nullable(Type.String()),
  flags: Type.Array(Type.String()),
  owner: Nullable(Account),
  transaction: Nullable(TransactionView),
  madeMs: Ms,
});
export type CertificateRowView = Static<typeof CertificateRowView>;

const Boundary = Type.Object({
  boundary: Type.String({ description: 'The full hour, RFC 3339' }),
  read: Type.String({ description: 'When the meter read it, by its own clock' }),
  register: Type.String({ description: 'OBIS code' }),
  wh: Wh,
  entry: Type.Integer({ description: 'Index in the log' }),
  envelope: Type.String({ description: 'Path of the entry in this API' }),
  receipt: Type.String({ description: "Path of the entry's receipt in this API" }),
});
/** "Why 412 Wh? these two registers, these entries, this root." */
export const WhyView = Type.Object({
  text: Type.String({ description: 'In a sentence' }),
  rule: Type.String({ description: 'difference, or rollover; of a refused one the rule that refused it' }),
  arithmetic: Type.String(),
  start: Boundary,
  end: Boundary,
  shape: Type.Enum(['reading', 'profile']),
  modulusWh: Nullable(Wh),
  capWh: Nullable(Type.Integer({ description: 'Rated power times the time, and 5 %' })),
  root: Nullable(
    Type.Object({
      origin: Type.String({ description: 'Of the log' }),
      size: Type.Integer({ description: 'Entries under it' }),
      root: Type.String({ description: 'Base64' }),
      anchor: Nullable(
        Type.Object({
          chainId: Type.Integer(),
          contract: Type.String(),
          transaction: Type.String(),
          block: Type.Integer(),
        }),
      ),
    }),
  ),
});
export type WhyView = Static<typeof WhyView>;

/** Why an hour has no certificate (credits/missing.ts says what each means). */
export const MISSING_WHY = [
  ...(['ahead', 'running', 'residual', 'no-readings', 'no-start', 'no-end', 'no-energy'] as const),
  ...(['clock', 'suspended', 'charge', 'pending'] as const),
] as const;
export type MissingWhy = (typeof MISSING_WHY)[number];

export const ResidualView = Type.Object({
  meteringPoint: Type.String(),
  device: Type.String(),
  from: Type.String({ description: 'RFC 3339' }),
  until: Type.String(),
  wh: Wh,
  month: Nullable(KstMonth),
  reason: Type.String(),
  state: Type.Enum([...CERTIFICATE_STATES]),
  code: Nullable(Type.String()),
  detail: Nullable(Type.String()),
  transaction: Nullable(TransactionView),
  madeMs: Ms,
});
export type ResidualView = Static<typeof ResidualView>;

export const SlotView = Type.Object({
  slot: Seconds,
  state: Type.Enum([...CERTIFICATE_STATES, 'none'], { description: 'Of its newest certificate' }),
  missing: Nullable(Type.Enum([...MISSING_WHY], { description: 'Where there is none: why' })),
  id: Nullable(Type.String({ description: 'Of the certificate' })),
  wh: Wh,
  claimedWh: Wh,
  code: Nullable(Type.String({ description: 'Of a refused one: which rule' })),
  flags: Type.Array(Type.String()),
});
export type SlotView = Static<typeof SlotView>;

export const PointSlotsView = Type.Object({
  meteringPoint: Type.String(),
  device: Type.String({ description: 'DID of the meter that is there now' }),
  kind: Type.String(),
  label: Nullable(Type.String()),
  capacityW: Nullable(Type.Integer()),
  slots: Type.Array(SlotView, { description: '24, in the order of time' }),
  residuals: Type.Array(ResidualView, { description: 'Those that reach into the day' }),
});
export type PointSlotsView = Static<typeof PointSlotsView>;

export const SlotsView = Type.Object({
  date: Type.String({ description: 'Day of Korean time' }),
  from: Seconds,
  until: Type.Integer({ description: 'First second after it' }),
  points: Type.Array(PointSlotsView, { description: 'In the order of their URNs' }),
  next: Nullable(Type.String({ description: 'There may be more after this metering point' })),
});
export type SlotsView = Static<typeof SlotsView>;

export const TradeView = Type.Object({
  event: Type.String({ description: 'As the Market contract names it' }),
  transaction: TransactionView,
  data: Type.Record(Type.String(), Type.Unknown(), { description: 'The fields of the event; large numbers are text' }),
});
export type TradeView = Static<typeof TradeView>;

export const NewClaimView = Type.Object(
  {
    wh: Type.Optional(Type.Integer({ minimum: 1, maximum: 2 ** 31 - 1, description: 'Left out: all that is left' })),
    beneficiary: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 256,
        description: 'Who it is for. It is hashed with a salt at once, and goes nowhere itself.',
      }),
    ),
    purpose: Type.Enum([...PURPOSES]),
    recipient: Type.Optional(
      Type.String({
        maxLength: 128,
        description: 'Public: who receives a donation (needed there), or the number of an application',
      }),
    ),
  },
  { additionalProperties: false },
);
export type NewClaimView = Static<typeof NewClaimView>;

export const ClaimedView = Type.Object({
  transaction: TransactionView,
  wh: Wh,
  purpose: Type.Enum([...PURPOSES]),
  beneficiary: Hash,
  salt: Nullable(
    Type.String({
      description:
        'Hexadecimal, shown this once: beneficiary is SHA-256 of these 32 bytes and the text in UTF-8. Null where nobody was named.',
    }),
  ),
});
export type ClaimedView = Static<typeof ClaimedView>;
