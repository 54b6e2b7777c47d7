/** Certificates of renewable energy, and the credits minted for them. */
import Type from 'typebox';
import { EdgeError } from '../errors.ts';
import type { Person } from '../tokens.ts';
import {
  CERTIFICATE_STATES,
  CertificateId,
  CertificateRowView,
  ClaimedView,
  CreditClaimView,
  KstMonth,
  NewClaimView,
  ResidualView,
  SlotsView,
  TradeView,
  TransactionView,
  WhyView,
} from './credit-views.ts';
import { certificatesCsv } from './credits-csv.ts';
import type { CreditsParts } from './credits-parts.ts';
import type { ApiParts } from './parts.ts';
import { bearer, needs, type Server } from './server.ts';
import { Did, Sub } from './views.ts';

const Time = (description: string) =>
  Type.String({ format: 'date-time', maxLength: 40, description: `RFC 3339; ${description}` });
const Document = Type.Unsafe<object>({ type: 'object', additionalProperties: true });
/** Sent as the bytes that they are. */
const Bytes = Type.Unsafe<Buffer>({ type: 'object', additionalProperties: true });
const limit = Type.Integer({ minimum: 1, maximum: 1000, default: 100 });

/** The format lets leap seconds through, which Date does not know. */
function secondsOf(text: string): number {
  const ms = Date.parse(text);
  if (Number.isNaN(ms)) throw new EdgeError('REQUEST_INVALID', `${text} is no time`);
  return Math.ceil(ms / 1000);
}

export function certificateRoutes(server: Server, parts: ApiParts): void {
  const tags = ['certificates'];
  const security = bearer;
  const credits = (): CreditsParts => {
    if (!parts.credits) throw new EdgeError('CREDITS_OFF', 'there is no Credits contract that it follows');
    return parts.credits;
  };
  // Published, as the contexts of credentials are.
  server.get(
    '/schemas/certificate.json',
    {
      schema: {
        summary: 'JSON Schema (2020-12) of a certificate',
        tags,
        response: { 200: { content: { 'application/schema+json': { schema: Bytes } } } },
      },
    },
    async (_, reply) =>
      reply.type('application/schema+json').send(Buffer.from(JSON.stringify(parts.certificateSchema))),
  );

  server.get(
    '/certificates',
    {
      ...needs('viewer'),
      schema: {
        summary: 'Certificates, by their hour',
        description:
          'One for each hour (UTC) of a metering point whose two boundaries were read by the same meter. What a rule or the contract refused is there too, with the reason. Oldest first; go on after the id that next says. csv has the columns of the JSON.',
        tags,
        security,
        querystring: Type.Object(
          {
            meteringPoint: Type.Optional(Sub),
            device: Type.Optional(Did),
            state: Type.Optional(Type.Enum([...CERTIFICATE_STATES])),
            from: Type.Optional(Time('hours that begin then or later')),
            to: Type.Optional(Time('hours that begin before')),
            claimed: Type.Optional(Type.Boolean({ description: 'Whether anything of it was claimed' })),
            after: Type.Optional(CertificateId),
            limit,
            format: Type.Enum(['json', 'csv'], { default: 'json' }),
          },
          { additionalProperties: false },
        ),
        response: {
          200: {
            content: {
              'application/json': {
                schema: Type.Object({
                  certificates: Type.Array(CertificateRowView),
                  next: Type.Union([Type.String(), Type.Null()], {
                    description: 'There may be more after this id; null where this was the end',
                  }),
                }),
              },
              'text/csv': { schema: Type.String() },
            },
          },
        },
      },
    },
    async (request, reply) => {
      const { from, to, format, ...filter } = request.query;
      const certificates = credits().list({
        ...filter,
        from: from === undefined ? undefined : secondsOf(from),
        to: to === undefined ? undefined : secondsOf(to),
      });
      if (format === 'csv')
        return reply
          .type('text/csv; charset=utf-8; header=present')
          .header('content-disposition', 'attachment; filename="certificates.csv"')
          .send(certificatesCsv(certificates));
      const last = certificates.length === filter.limit ? certificates.at(-1) : undefined;
      return reply.type('application/json').send({ certificates, next: last?.id ?? null });
    },
  );

  const params = Type.Object({ id: CertificateId });
  server.get(
    '/certificates/:id',
    {
      ...needs('viewer'),
      schema: {
        summary: 'One certificate: the document, its claims, and why it says what it says',
        tags,
        security,
        params,
        response: {
          200: Type.Object({
            ...CertificateRowView.properties,
            certificate: Document,
            why: WhyView,
            claims: Type.Array(CreditClaimView),
          }),
        },
      },
    },
    (request) => credits().get(request.params.id),
  );

  server.get(
    '/certificates/:id/file',
    {
      ...needs('viewer'),
      schema: {
        summary: 'The portable file of a certificate',
        description:
          'The certificate as a verifiable credential, the envelopes that the meter signed with their paths under an anchored checkpoint, the mint and the claims; signed by the gateway, in the canonical form of RFC 8785. sejong-edge credits verify takes it, without a gateway and without a chain.',
        tags,
        security,
        params,
        response: { 200: { content: { 'application/json': { schema: Bytes } } } },
      },
    },
    async (request, reply) => {
      const { id } = request.params;
      const bytes = credits().file(id);
      return reply
        .type('application/json')
        .header('content-disposition', `attachment; filename="${id}.json"`)
        .send(Buffer.from(bytes));
    },
  );

  server.post(
    '/certificates/:id/claim',
    {
      ...needs('operator'),
      schema: {
        summary: 'Claim credits of a certificate: they are burned for good, as that hour',
        description:
          "Of the gateway's own account only. What beneficiary says is hashed with a salt before it goes anywhere; the salt is in this answer, and nowhere else.",
        tags,
        security,
        params,
        body: NewClaimView,
        response: { 200: ClaimedView },
      },
    },
    (request) => credits().claim(request.params.id, request.body, request.person as Person),
  );

  server.post(
    '/certificates/:id/withdraw',
    {
      ...needs('operator'),
      schema: {
        summary: 'Withdraw the day of a certificate',
        description:
          'All credits of that day and metering point that are not claimed are worth nothing from then on; what is claimed stays so, and is taken off when the day is certified anew.',
        tags,
        security,
        params,
        body: Type.Object(
          { reason: Type.String({ minLength: 1, maxLength: 256, description: 'Public: it stands on the chain' }) },
          { additionalProperties: false },
        ),
        response: { 200: TransactionView },
      },
    },
    (request) => credits().withdraw(request.params.id, request.body.reason, request.person as Person),
  );

  server.post(
    '/certificates/:id/reissue',
    {
      ...needs('operator'),
      schema: {
        summary: 'Have a withdrawn day certified anew',
        description:
          'The id is of the next version of a withdrawn certificate, which waits as ready. All hours of that day and metering point go out with it. What was claimed of the day before is taken off.',
        tags,
        security,
        params,
        response: { 200: CertificateRowView },
      },
    },
    (request) => credits().reissue(request.params.id, request.person as Person),
  );

  server.get(
    '/slots',
    {
      ...needs('viewer'),
      schema: {
        summary: 'A day of Korean time, hour by hour: the certificate of each, or why there is none',
        description: 'Go on after the metering point that next says. An hour is of UTC, as everywhere.',
        tags,
        security,
        querystring: Type.Object(
          {
            date: Type.String({ format: 'date', description: 'Its 24 hours begin at 15:00Z of the day before' }),
            after: Type.Optional(Sub),
            limit: Type.Integer({ minimum: 1, maximum: 200, default: 50 }),
          },
          { additionalProperties: false },
        ),
        response: { 200: SlotsView },
      },
    },
    (request) => {
      const { date, after, limit } = request.query;
      const from = secondsOf(`${date}T00:00:00+09:00`);
      const points = credits().slots(from, after, limit);
      const next = points.length === limit ? (points.at(-1)?.meteringPoint ?? null) : null;
      return { date, from, until: from + 86_400, points, next };
    },
  );

  server.get(
    '/residuals',
    {
      ...needs('viewer'),
      schema: {
        summary: 'Energy of gaps: known as a whole, usable for its month, never as an hour',
        tags,
        security,
        querystring: Type.Object({ meteringPoint: Type.Optional(Sub), limit }, { additionalProperties: false }),
        response: { 200: Type.Object({ residuals: Type.Array(ResidualView) }) },
      },
    },
    (request) => ({ residuals: credits().residuals(request.query) }),
  );

  server.get(
    '/trades',
    {
      ...needs('viewer'),
      schema: {
        summary: 'What happened on the market of these credits, newest first',
        tags,
        security,
        querystring: Type.Object({ limit }, { additionalProperties: false }),
        response: { 200: Type.Object({ trades: Type.Array(TradeView) }) },
      },
    },
    (request) => ({ trades: credits().trades(request.query.limit) }),
  );

  const monthly = {
    params: Type.Object({ month: KstMonth }),
    querystring: Type.Object({ meteringPoint: Sub }, { additionalProperties: false }),
    response: { 200: Document },
  };
  server.get(
    '/statements/:month',
    {
      ...needs('viewer'),
      schema: { summary: 'Statement of a metering point for a month of Korean time', tags, security, ...monthly },
    },
    (request) => credits().statement(request.params.month, request.query.meteringPoint),
  );

  const applicant = {
    meteringPoint: Sub,
    class: Type.String({
      pattern: '^[a-z-]{1,32}$',
      description: 'Of the plant, as the table of weights has it',
    }),
    confirmed: Type.String({ format: 'date', description: 'Day on which the plant was confirmed' }),
    carried: Type.String({
      pattern: '^\\d{1,10}$',
      default: '0',
      description: 'What the month before left of its last REC, in 1/10^10 (its recs.carry)',
    }),
  };
  server.get(
    '/rec/:month',
    {
      ...needs('viewer'),
      schema: {
        summary: 'What an application for Korean RECs needs, for a month of Korean time',
        description: 'It prepares an application. It is no REC, and nothing is applied for.',
        tags,
        security,
        ...monthly,
        querystring: Type.Object(applicant, { additionalProperties: false }),
      },
    },
    (request) => {
      const { meteringPoint, ...plant } = request.query;
      return credits().rec(request.params.month, meteringPoint, plant);
    },
  );

  server.post(
    '/rec/:month/lock',
    {
      ...needs('operator'),
      schema: {
        summary: 'Lock what an application uses: it is claimed for that purpose, and for nothing else then',
        description:
          'To be called when the application is handed in. All that is left of the month is claimed (rec-application), with the number of the application as the recipient, in as many transactions as it takes.',
        tags,
        security,
        params: monthly.params,
        body: Type.Object(
          {
            ...applicant,
            carried: Type.Optional(applicant.carried),
            application: Type.String({ minLength: 1, maxLength: 64, description: 'Its number; public' }),
          },
          { additionalProperties: false },
        ),
        response: {
          200: Type.Object({
            application: Document,
            wh: Type.Integer(),
            transactions: Type.Array(TransactionView),
          }),
        },
      },
    },
    (request) => {
      const { meteringPoint, application, carried = '0', ...plant } = request.body;
      const { month } = request.params;
      return credits().lock(month, meteringPoint, { ...plant, carried }, application, request.person as Person);
    },
  );

  server.get(
    '/evidence/building',
    {
      ...needs('viewer'),
      schema: {
        summary: 'How much of its electricity a building made itself, as a signed report with receipts',
        description: 'It states no ZEB grade.',
        tags,
        security,
        querystring: Type.Object(
          {
            generation: Type.String({
              pattern: '^urn:[\\x21-\\x7e]+$',
              maxLength: 2048,
              description: 'Metering points of its plants, with commas between them',
            }),
            grid: Sub,
            from: Time('start of the period'),
            to: Time('its end'),
            grade: Type.Optional(Type.String({ maxLength: 32, description: 'Refused: none is stated' })),
          },
          { additionalProperties: false },
        ),
        response: { 200: Document },
      },
    },
    (request) => {
      const { generation, grid, from, to, grade } = request.query;
      if (grade !== undefined) throw new EdgeError('CREDIT_NO_GRADE', 'grade');
      const period = { from: secondsOf(from), to: secondsOf(to) };
      if (period.from >= period.to) throw new EdgeError('REQUEST_INVALID', 'the period ends before it begins');
      return credits().building({ generation: generation.split(','), grid, ...period });
    },
  );
}
