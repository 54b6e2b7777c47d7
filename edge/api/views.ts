/** What the API says, as schemas; the types follow from them. */
import Type, { type Static } from 'typebox';
import { MAX_DID_LENGTH } from '../wire/did.ts';

export const Did = Type.String({
  pattern: '^did:key:z[1-9A-HJ-NP-Za-km-z]+$',
  maxLength: MAX_DID_LENGTH,
  description: 'did:key of an Ed25519 (z6Mk...) or a P-256 key (zDn...)',
});
export const Sub = Type.String({
  pattern: '^urn:[\\x21-\\x7e]+$',
  maxLength: 256,
  description: 'URN of the metering point or vehicle',
});
export const Index = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER, description: 'Index in the log' });
export const Ms = Type.Integer({ description: 'Unix time in milliseconds' });
/** Of a person or a flow. */
export const PersonName = Type.String({
  minLength: 1,
  maxLength: 100,
  pattern: '^[^\\p{Cc}]+$',
  description: 'Whose it is',
});
const Base64 = Type.String({ description: 'Base64 (RFC 4648 section 4)' });
export const Nullable = <T extends Type.TSchema>(type: T) => Type.Union([type, Type.Null()]);

/** Query of a list that is read from the newest down. */
export const page = Type.Object(
  {
    limit: Type.Integer({ minimum: 1, maximum: 1000, default: 100 }),
    before: Type.Integer({
      minimum: 1,
      maximum: Number.MAX_SAFE_INTEGER,
      default: Number.MAX_SAFE_INTEGER,
      description: 'Go on before this id (newest first)',
    }),
  },
  { additionalProperties: false },
);

export const Problem = Type.Object(
  {
    type: Type.String(),
    title: Type.String({ description: 'What was wrong' }),
    status: Type.Integer(),
    detail: Type.String({ description: 'Where, in this case' }),
    code: Type.String({ description: 'Stable code' }),
    todo: Type.String({ description: 'What to do' }),
  },
  { $id: 'Problem', description: 'RFC 9457 problem document' },
);

export const RecordView = Type.Object({
  n: Type.String({ description: 'OBIS code, VSS path or other name' }),
  u: Type.Optional(Type.String({ description: 'Unit (RFC 8428 section 12.1)' })),
  t: Type.Optional(Type.Integer({ description: 'Seconds: Unix time, or below 2^28 an offset to iat' })),
  v: Type.Optional(Type.Number()),
  vs: Type.Optional(Type.String()),
  vb: Type.Optional(Type.Boolean()),
  vd: Type.Optional(Base64),
});

export const EntryView = Type.Object({
  index: Index,
  did: Type.String(),
  kind: Type.String(),
  custody: Type.Enum(['device', 'gateway'], { description: 'Who held the signing key' }),
  sub: Type.String({ description: 'URN of what it measures' }),
  iat: Type.Optional(Type.Integer({ description: "The device's clock, Unix seconds" })),
  epoch: Type.Integer({ description: 'Boot epoch of the counter' }),
  seq: Type.Integer({ description: 'Sequence in that boot' }),
  receivedMs: Ms,
  clock: Type.Enum(['synced', 'unsynced'], { description: "What the gateway's clock was worth at receipt" }),
  records: Type.Array(RecordView),
  envelope: Type.Optional(Base64),
  pruned: Type.Optional(
    Type.Boolean({ description: 'True where the payload is no longer kept: iat, records and envelope went with it' }),
  ),
  sealed: Type.Optional(
    Type.Boolean({ description: 'True where the log holds a hash envelope, and this is what it is over' }),
  ),
  forgotten: Type.Optional(
    Type.Boolean({
      description: 'True where what was sealed has been destroyed: iat, records and envelope went with it',
    }),
  ),
  leafHash: Type.Optional(
    Type.String({ description: 'Base64 of the leaf hash (RFC 6962 section 2.1), of a pruned entry' }),
  ),
  late: Type.Optional(
    Type.Object(
      {
        status: Type.String({ description: 'What the device was when it came: revoked, replaced or expired' }),
        by: Type.Enum(['gateway', 'registry'], { description: 'Who said so' }),
        sinceMs: Ms,
        block: Nullable(Type.Integer({ description: "The registry's block that said so" })),
      },
      { description: 'Backlog: signed before the device was over, expected by its counter, and taken by policy' },
    ),
  ),
});
export type EntryView = Static<typeof EntryView>;

const span = {
  epoch: Type.Integer({ description: 'Boot epoch' }),
  first: Type.Integer({ description: 'First sequence' }),
  last: Type.Integer({ description: 'Last sequence' }),
  count: Type.Integer(),
};
export const GapView = Type.Object({
  ...span,
  reason: Type.Enum(['lost', 'thinned'], {
    description: 'lost: never accepted, and refused from now on. thinned: accepted, and the payloads taken away since',
  }),
  index: Type.Integer({ description: 'The entry of the gateway that says so' }),
});

const Seconds = Type.Integer({ description: 'Unix time in seconds' });
export const RegistryView = Type.Object(
  {
    status: Type.Enum(['active', 'suspended', 'revoked', 'replaced', 'unregistered']),
    validFrom: Nullable(Seconds),
    validUntil: Nullable(Type.Integer({ description: 'Unix time in seconds, not included; null for ever' })),
    ageSeconds: Nullable(
      Type.Integer({ description: 'How old this is; null where the chain of the registry was never seen' }),
    ),
    block: Nullable(Type.Integer({ description: 'Up to this block of the chain' })),
  },
  { description: "What the city's registry says of it, as far as it was followed; of one device only" },
);
export type RegistryView = Static<typeof RegistryView>;

export const DeviceView = Type.Object({
  did: Type.String(),
  kind: Type.String(),
  custody: Type.Enum(['device', 'gateway']),
  sub: Type.String(),
  owner: Nullable(Type.String()),
  capacityW: Nullable(Type.Integer()),
  energySource: Nullable(Type.String()),
  registerModulusWh: Nullable(Type.Integer()),
  label: Nullable(Type.String()),
  status: Type.Enum(['active', 'suspended', 'revoked', 'replaced']),
  replacedBy: Nullable(Type.String()),
  enrolledMs: Ms,
  updatedMs: Ms,
  counter: Nullable(
    Type.Object({
      epoch: Type.Integer(),
      seq: Type.Integer(),
      entries: Type.Integer({ description: 'Entries in the log' }),
      lastIndex: Nullable(Index),
      lastMs: Ms,
      gaps: Type.Array(Type.Object(span), { description: 'Ranges of sequences that are missing below the highest' }),
    }),
  ),
  declaredGaps: Type.Optional(
    Type.Array(GapView, { description: 'The newest 100 ranges that the log has a gap entry for; of one device only' }),
  ),
  quarantined: Type.Integer({ description: 'Refused envelopes that lie in quarantine' }),
  silent: Type.Optional(
    Type.Boolean({ description: 'True where nothing came for longer than it usually lets pass; of one device only' }),
  ),
  registry: Type.Optional(RegistryView),
  succession: Type.Optional(
    Type.Object(
      {
        by: Type.String({ description: 'DID of the device that took over' }),
        how: Type.Enum(['swap', 'rekey']),
        index: Index,
        obis: Type.Optional(Type.String()),
        finalWh: Type.Optional(Nullable(Type.Integer({ description: 'Last register of this device' }))),
        initialWh: Type.Optional(Nullable(Type.Integer({ description: 'First register of the one that took over' }))),
      },
      { description: 'How it ended, by the entry with that index; of one device only, and while that can be read' },
    ),
  ),
});
export type DeviceView = Static<typeof DeviceView>;

const Register = Type.Union([
  Type.Object(
    {
      obis: Type.String({ pattern: '^[0-9A-Za-z.:*&-]{1,32}$', description: 'OBIS code of the billed register' }),
      wh: Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }),
    },
    { additionalProperties: false },
  ),
  Type.Null({ description: 'Nobody could read it' }),
]);
export const SwapView = Type.Object(
  { by: Did, finalRegister: Type.Optional(Register), initialRegister: Type.Optional(Register) },
  { additionalProperties: false },
);
export type SwapView = Static<typeof SwapView>;
export const RekeyView = Type.Object(
  {
    did: Type.Optional(Did),
    proof: Type.Optional(
      Type.String({ pattern: '^[A-Za-z0-9_-]{86}$', description: 'Signature by the old key, base64url' }),
    ),
  },
  { additionalProperties: false },
);
export type RekeyView = Static<typeof RekeyView>;

export const NewDeviceView = Type.Object(
  {
    did: Type.Optional(Did),
    kind: Type.String({ description: 'One of kinds at GET /profiles' }),
    custody: Type.Enum(['device', 'gateway']),
    sub: Sub,
    owner: Type.Optional(Type.String({ maxLength: 256 })),
    capacityW: Type.Optional(Type.Integer({ minimum: 0, maximum: 1e12 })),
    energySource: Type.Optional(Type.String({ maxLength: 64 })),
    registerModulusWh: Type.Optional(
      Type.Integer({
        minimum: 1000,
        maximum: Number.MAX_SAFE_INTEGER,
        description: 'Where its register begins anew, in Wh. Left out: it never does.',
      }),
    ),
    label: Type.Optional(Type.String({ maxLength: 256 })),
  },
  { additionalProperties: false },
);
export type NewDeviceView = Static<typeof NewDeviceView>;

const { did: _did, custody: _custody, ...expected } = NewDeviceView.properties;
/** A device that holds its key, without the DID. */
export const ExpectedView = Type.Object(expected, { additionalProperties: false });
export type ExpectedView = Static<typeof ExpectedView>;

export const ClaimView = Type.Object({
  id: Type.String(),
  wanted: Type.String({ description: 'What is to be enrolled, in JSON' }),
  madeMs: Ms,
  expiresMs: Ms,
  madeBy: Type.String(),
  status: Type.Enum(['open', 'pending', 'confirmed', 'dropped'], {
    description: 'pending: a device has shown the code, and an operator must confirm it',
  }),
  did: Nullable(Type.String()),
  fingerprint: Nullable(Type.String({ description: 'To be compared with what the device shows' })),
});
export type ClaimView = Static<typeof ClaimView>;

export const AnchorView = Type.Object({
  id: Type.Integer(),
  size: Type.Integer({ description: 'Entries that the anchored tree holds' }),
  root: Base64,
  chainId: Type.Integer(),
  contract: Type.String(),
  transaction: Type.String({ description: 'Hash of the newest transaction for this nonce' }),
  signature: Nullable(
    Type.String({
      description: 'By the anchoring account over the head, for the contract (EIP-712, Anchors.headDigest)',
    }),
  ),
  status: Type.Enum(['signed', 'sent', 'mined', 'confirmed', 'failed', 'lost']),
  block: Nullable(Type.Integer()),
  gasUsed: Nullable(Type.Integer()),
  madeMs: Ms,
  minedMs: Nullable(Ms),
});
export type AnchorView = Static<typeof AnchorView>;

export const ChainView = Type.Object({
  chain: Nullable(
    Type.Object({
      chainId: Type.Integer(),
      contract: Type.String({ description: 'The Anchors contract' }),
      rpc: Nullable(
        Type.String({ description: 'A node of the chain; null where its URL has a part that may be a secret' }),
      ),
    }),
  ),
});
export type ChainView = Static<typeof ChainView>;

export const QuarantineView = Type.Object({
  id: Type.Integer(),
  did: Type.String(),
  topic: Type.String(),
  code: Type.String(),
  detail: Type.String(),
  cti: Nullable(Type.String({ description: 'Counter, 16 hex digits, where the envelope could be read' })),
  firstMs: Ms,
  lastMs: Ms,
  times: Type.Integer({ description: 'How often these same bytes came' }),
  bytes: Base64,
});
export type QuarantineView = Static<typeof QuarantineView>;

export const ReceiptView = Type.Object({
  format: Type.String(),
  index: Index,
  entry: Base64,
  path: Type.Array(Base64, { description: "RFC 6962 section 2.1.1, from the leaf's sibling up" }),
  checkpoint: Type.String({ description: 'C2SP signed note' }),
  anchor: Type.Optional(
    Type.Object({
      chainId: Type.Integer(),
      contract: Type.String(),
      transaction: Type.String(),
      block: Type.Integer(),
    }),
  ),
});
export type ReceiptView = Static<typeof ReceiptView>;

export const OpeningView = Type.Object({
  format: Type.String(),
  index: Index,
  salt: Base64,
  envelope: Base64,
});

export const ForgottenView = Type.Object({
  tombstone: Nullable(Type.Integer({ description: 'The entry that says so; null where nothing was left to destroy' })),
  salt: Nullable(
    Type.String({
      description: 'Hex: the digest in the tombstone is SHA-256 of CBOR [salt, subject]. Shown this once',
    }),
  ),
  devices: Type.Integer({ description: 'Devices of the subject' }),
  entries: Type.Integer({ description: 'Entries whose contents were destroyed' }),
  quarantined: Type.Integer({ description: 'Envelopes that lay in quarantine' }),
  others: Type.Integer({ description: 'Rows of other tables' }),
  open: Type.Boolean({ description: 'It has entries that are not sealed: they stay' }),
  complete: Type.Boolean({
    description: 'False while another process reads the database: the last traces go after it',
  }),
  asides: Type.Array(Type.String(), { description: 'Databases that were set aside, which may still hold it' }),
});
export type ForgottenView = Static<typeof ForgottenView>;

export const CallView = Type.Object({
  format: Type.String(),
  chainId: Type.Integer(),
  to: Type.String({ description: 'The Anchors contract' }),
  data: Type.String({ description: 'A call of verifyEntry, which answers with the anchored root, or reverts' }),
  checkpoint: Type.String({ description: 'C2SP signed note' }),
});
export type CallView = Static<typeof CallView>;

export const WitnessesView = Type.Object({
  quorum: Type.Integer({ description: 'So many cosignatures make a checkpoint a witnessed one' }),
  size: Type.Integer({ description: 'Entries under the newest checkpoint' }),
  cosigned: Type.Integer({ description: 'How many witnesses cosigned it' }),
  unwitnessed: Type.Boolean({ description: 'It lacks its quorum' }),
  witnessedSize: Type.Integer({ description: 'Entries under the newest checkpoint with a quorum' }),
  witnesses: Type.Array(
    Type.Object({
      name: Type.String(),
      key: Type.String({ description: 'C2SP verifier key, type 0x04' }),
      reachable: Type.Boolean({ description: 'It gave its word when it was asked last' }),
      size: Type.Integer({ description: 'Entries under the newest checkpoint that it cosigned' }),
      time: Type.Integer({ description: 'When, by its clock; Unix seconds, 0 for never' }),
      problem: Nullable(Type.String()),
    }),
  ),
});
export type WitnessesView = Static<typeof WitnessesView>;

export const EvidenceView = Type.Object({
  id: Type.Integer(),
  origin: Type.String(),
  kind: Type.Enum(['split', 'unproven'], {
    description:
      'split: two roots of one size, both signed by the log; unproven: no proof came with it, which anybody could have sent',
  }),
  held: Type.String({ description: 'The checkpoint that was held then, a signed note; empty for the empty tree' }),
  note: Type.String({ description: 'The checkpoint that does not go with it' }),
  firstMs: Ms,
  lastMs: Ms,
  times: Type.Integer(),
});
export type EvidenceView = Static<typeof EvidenceView>;

export const TokenView = Type.Object({
  id: Type.String(),
  name: Type.String({ description: 'Whose it is' }),
  role: Type.String(),
  madeMs: Ms,
  expiresMs: Ms,
  madeBy: Type.String(),
  revokedMs: Nullable(Ms),
});
export type TokenView = Static<typeof TokenView>;

export const AuditView = Type.Object({
  index: Index,
  atMs: Ms,
  by: Type.Object({
    name: Type.String(),
    role: Type.String(),
    token: Type.String({ description: 'Id of the token that was used' }),
  }),
  action: Type.String(),
  on: Type.String({ description: 'A DID, or the id of a token or claim' }),
  detail: Type.Record(Type.String(), Type.Union([Type.String(), Type.Number(), Type.Null()])),
  salt: Base64,
  content: Type.String({ description: 'Base64 of what was hashed after the salt: atMs, by, action, on, detail' }),
  envelope: Type.Optional(Base64),
});
export type AuditView = Static<typeof AuditView>;

export const HealthView = Type.Object({
  status: Type.Enum(['ok', 'degraded'], { description: 'degraded: readings are taken, but something needs a person' }),
  origin: Type.String({ description: "The gateway's name: the audience of all tokens" }),
  log: Type.String({ description: "The log's own origin, the name of its key: another one in each epoch" }),
  did: Type.String({ description: "The gateway's own DID" }),
  version: Type.String(),
  uptimeSeconds: Type.Integer(),
  parts: Type.Record(Type.String(), Type.Object({ ok: Type.Boolean(), detail: Type.String() })),
});
export type HealthView = Static<typeof HealthView>;

/** A device kind, or a way to read devices of one: profiles/profile.ts, with what the config changes. */
export const ProfileView = Type.Object({
  name: Type.String(),
  title: Type.String(),
  kind: Type.String({ description: 'What such devices are enrolled as; its own name where it is a kind itself' }),
  driver: Nullable(Type.String({ description: 'How the gateway reads them; null: they publish over MQTT' })),
  line: Type.Object({
    baudRate: Type.Optional(Type.Integer()),
    dataBits: Type.Optional(Type.Integer()),
    parity: Type.Optional(Type.String()),
    stopBits: Type.Optional(Type.Integer()),
  }),
  everySeconds: Type.Number(),
  priority: Type.Enum(['high', 'normal', 'low']),
  privacy: Type.Enum(['public', 'sealed'], { description: 'Who may read it in the open log' }),
  custody: Type.Enum(['gateway', 'device', 'either'], { description: 'Who holds the keys of such devices' }),
  rate: Type.Enum(['energy', 'location'], { description: 'location: thinned where the disk is full' }),
  open: Type.Boolean({ description: 'Such devices may tell more than values has' }),
  settings: Type.Unknown({ description: 'Of the driver' }),
  values: Type.Array(
    Type.Object({
      name: Type.String({ description: 'OBIS code, VSS path or other name' }),
      unit: Type.Optional(Type.String({ description: 'RFC 8428 section 12.1' })),
      type: Type.Enum(['number', 'string', 'boolean']),
      billed: Type.Boolean({ description: 'Comes first in each pack, unsigned whole Wh' }),
      required: Type.Boolean({ description: 'Without it there is no reading' }),
      scale: Type.Number({ description: 'What is read is multiplied by it' }),
      from: Type.Optional(Type.Unknown({ description: 'Where the driver finds it' })),
      range: Type.Optional(Type.Array(Type.Number(), { description: 'Least and most; others lie in quarantine' })),
      modulus: Type.Optional(Type.Number({ description: 'Where the register begins anew' })),
      mostPerHour: Type.Optional(Type.Number({ description: 'A faster rise is signed as Uncertain' })),
    }),
  ),
});
export type ProfileView = Static<typeof ProfileView>;
