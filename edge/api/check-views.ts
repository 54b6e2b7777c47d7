/** What the API says of checks, as schemas, and from rows to it. */
import Type, { type Static } from 'typebox';
import type { CheckRow } from '../store/checks.ts';
import { Did, Index } from './views.ts';

const Nullable = <T extends Type.TSchema>(type: T) => Type.Union([type, Type.Null()]);
const Ms = Type.Integer({ description: 'Unix time in milliseconds' });
const Seconds = Type.Number({ description: 'Seconds' });
const Name = Type.String({ pattern: '^[a-z0-9][a-z0-9-]{0,63}$' });

export const CheckView = Type.Object({
  index: Index,
  decidedMs: Ms,
  gate: Nullable(Type.String({ description: 'null where no challenge of ours was answered' })),
  zone: Nullable(Type.String()),
  purpose: Nullable(Type.String()),
  decision: Type.Enum(['ALLOW', 'ALLOW_STALE', 'REVIEW', 'DENY']),
  reason: Type.String({ description: 'Stable code' }),
  digest: Type.String({ description: 'Base64 of SHA-256(salt || content), which is all that the log entry holds' }),
  forgotten: Type.Boolean({ description: 'True where salt and content were destroyed, and all that named somebody' }),
  session: Nullable(Type.String()),
  holder: Nullable(Type.String({ description: 'The pseudonym that the vehicle spoke under' })),
  registration: Nullable(Type.String({ description: 'Only where its credential was proven' })),
  counter: Nullable(Type.Integer()),
  fix: Nullable(Type.Object({ lat: Type.Number(), lon: Type.Number() })),
  statusAgeSeconds: Nullable(Type.Integer({ description: 'How old the status data was' })),
  bundleVersion: Nullable(Type.Integer()),
  evidence: Type.Array(
    Type.Object({
      reason: Type.String(),
      evidence: Type.Record(Type.String(), Type.Union([Type.String(), Type.Number()])),
    }),
    { description: 'What speaks against it, of a REVIEW' },
  ),
  detail: Type.Optional(Type.String({ description: 'What was wrong' })),
  document: Type.Optional(Type.Unsafe<object>(Type.Object({}, { additionalProperties: true }))),
  salt: Type.Optional(Type.String({ description: 'Base64' })),
  content: Type.Optional(Type.String({ description: 'Base64 of canonical JSON (RFC 8785)' })),
});
export type CheckView = Static<typeof CheckView>;

export const AskView = Type.Object(
  {
    gate: Name,
    zone: Type.Optional(Name),
    purpose: Name,
    did: Type.Optional(Did),
    timeoutMs: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 60_000, description: 'How long to wait for a vehicle; 10000' }),
    ),
    recentMs: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 60_000,
        description: 'A decision made so long before counts too, if nobody has asked for it yet; 5000',
      }),
    ),
  },
  { additionalProperties: false },
);

export type AskedView = Static<typeof AskView>;

export const GateView = Type.Object({ name: Name, zone: Name, purposes: Type.Array(Name) });
export type GateView = Static<typeof GateView>;

export const BundleView = Type.Object({
  version: Type.Integer(),
  digest: Type.String({ description: 'SHA-256 of its bytes, base64url' }),
  issuedMs: Ms,
  receivedMs: Ms,
  source: Type.String(),
  statusAgeSeconds: Type.Integer({ description: 'Of the oldest status list in it' }),
  freshness: Type.Enum(['fresh', 'stale', 'too old'], {
    description: 'fresh gives ALLOW, stale ALLOW_STALE, too old DENY',
  }),
  issuers: Type.Array(Type.Object({ did: Type.String(), name: Type.String(), kinds: Type.Array(Type.String()) })),
  vouchedUntilMs: Nullable(Type.Integer({ description: 'Until when the city vouches for this gateway' })),
  zones: Type.Array(Type.String()),
  revocationLatencySeconds: Type.Object(
    { publish: Seconds, refresh: Seconds, staleness: Seconds, total: Seconds },
    { description: 'How late a revocation may reach a gate at the most: the sum of the three' },
  ),
});

export type CityBundleView = Static<typeof BundleView>;

type Content = {
  decision: { statusAgeSeconds: number | null; bundleVersion: number | null };
  evidence: CheckView['evidence'];
  detail?: string;
};

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');

/** @param whole with the signed decision, and what proves that it is what was logged */
export function describeCheck(row: CheckRow, whole = false): CheckView {
  const { idx, decidedMs, gate, zone, purpose, decision, reason, session, holder, registration, counter } = row;
  const content = row.content ? (JSON.parse(Buffer.from(row.content).toString()) as Content) : undefined;
  return {
    index: idx,
    decidedMs,
    gate,
    zone,
    purpose,
    decision: decision as CheckView['decision'],
    reason,
    digest: base64(row.digest),
    forgotten: content === undefined,
    session,
    holder,
    registration,
    counter,
    fix: row.lat === null || row.lon === null ? null : { lat: row.lat, lon: row.lon },
    statusAgeSeconds: content?.decision.statusAgeSeconds ?? null,
    bundleVersion: content?.decision.bundleVersion ?? null,
    evidence: content?.evidence ?? [],
    ...(content?.detail === undefined ? {} : { detail: content.detail }),
    ...(whole && content && row.salt && row.content
      ? { document: content.decision, salt: base64(row.salt), content: base64(row.content) }
      : {}),
  };
}
