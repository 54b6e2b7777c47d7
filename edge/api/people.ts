/** Tokens of people, and what operators did. */
import Type from 'typebox';
import type { AuditRow } from '../store/audit.ts';
import type { IssuedToken } from '../store/tokens.ts';
import { type Person, ROLES } from '../tokens.ts';
import type { ApiParts } from './parts.ts';
import { bearer, needs, type Server } from './server.ts';
import { AuditView, PersonName, page, TokenView } from './views.ts';

const LONGEST_S = 366 * 86_400;
const MAX_LISTED = 1000;
const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');

export function peopleRoutes(server: Server, parts: ApiParts): void {
  const { issued, people, entries, audits } = parts;
  const tags = ['people'];
  const operator = needs('operator');
  server.get(
    '/tokens',
    {
      ...operator,
      schema: {
        summary: 'Tokens that were made here and have not ended, newest first; at most 1,000',
        tags,
        security: bearer,
        response: { 200: Type.Object({ tokens: Type.Array(TokenView) }) },
      },
    },
    () => ({ tokens: issued.list(Date.now()).slice(0, MAX_LISTED).map(describeToken) }),
  );
  server.post(
    '/tokens',
    {
      ...operator,
      schema: {
        summary: 'Make a token for a person or a flow',
        description:
          'The token is in the answer, this once. It goes into the Authorization header, or is the MQTT password with the role as user name.',
        tags,
        security: bearer,
        body: Type.Object(
          {
            role: Type.Enum([...ROLES]),
            name: PersonName,
            seconds: Type.Optional(Type.Integer({ minimum: 1, maximum: LONGEST_S, description: 'Default: 12 h' })),
          },
          { additionalProperties: false },
        ),
        response: { 201: Type.Intersect([TokenView, Type.Object({ token: Type.String() })]) },
      },
    },
    async (request, reply) => {
      const { role, name, seconds = 43_200 } = request.body;
      const { token, id } = await people.makeToken({ role, name }, seconds, request.person as Person);
      return reply.code(201).send({ ...describeToken(issued.get(id) as IssuedToken), token });
    },
  );
  server.post(
    '/tokens/:id/revoke',
    {
      ...operator,
      schema: {
        summary: 'Revoke a token: it is good for nothing from now on, and what is open in its name ends',
        tags,
        security: bearer,
        params: Type.Object({ id: Type.String({ pattern: '^[0-9a-f-]{36}$' }) }),
        body: Type.Object({}, { additionalProperties: false }),
        response: { 200: TokenView },
      },
    },
    async (request) => describeToken(await people.revokeToken(request.params.id, request.person as Person)),
  );
  server.get(
    '/audit',
    {
      ...operator,
      schema: {
        summary: 'What operators did, newest first',
        description:
          'Each is an entry of the gateway, whose record "audit" is SHA-256(salt || content). `before` is an index in the log.',
        tags,
        security: bearer,
        querystring: page,
        response: { 200: Type.Object({ audit: Type.Array(AuditView) }) },
      },
    },
    (request) => ({
      audit: audits.list(request.query.limit, request.query.before).map((row) => describeAudit(row, entries)),
    }),
  );
}

const describeToken = ({ id, name, role, madeMs, expiresMs, madeBy, revokedMs }: IssuedToken): TokenView => ({
  id,
  name,
  role,
  madeMs,
  expiresMs,
  madeBy,
  revokedMs,
});

function describeAudit({ idx, salt, content }: AuditRow, entries: ApiParts['entries']): AuditView {
  const said = JSON.parse(Buffer.from(content).toString('utf8')) as AuditView;
  const entry = entries.get(idx);
  return {
    ...said,
    index: idx,
    salt: base64(salt),
    content: base64(content),
    ...(entry && !entry.leaf ? { envelope: base64(entry.envelope) } : {}),
  };
}
