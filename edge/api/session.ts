/** Signing in to the console with a one-time code, and out again. */
import Type from 'typebox';
import { EdgeError } from '../errors.ts';
import { type Person, ROLES } from '../tokens.ts';
import type { ApiParts } from './parts.ts';
import { bearer, needs, type Server } from './server.ts';
import { Ms, PersonName } from './views.ts';

const DEFAULT_S = 43_200;
const LONGEST_S = 30 * 86_400;

const role = Type.Enum([...ROLES]);
const SessionView = Type.Object({ name: Type.String({ description: 'Whose it is' }), role, expiresMs: Ms });

export function sessionRoutes(server: Server, parts: ApiParts, onTooManyFailures: () => void): void {
  const { sessions, failures, people } = parts;
  const tags = ['people'];
  server.post(
    '/session',
    {
      schema: {
        summary: 'Sign in with a one-time code',
        description:
          'The code is that of a link which sejong-edge console prints; it is good once, within 10 minutes. The token is in the answer, this once, and is one of those at GET /tokens.',
        tags,
        body: Type.Object(
          { code: Type.String({ minLength: 1, maxLength: 64, description: 'As POST /session/codes answers it' }) },
          { additionalProperties: false },
        ),
        response: { 201: Type.Intersect([SessionView, Type.Object({ token: Type.String() })]) },
      },
    },
    async (request, reply) => {
      if (failures.tooMany(request.ip)) {
        onTooManyFailures();
        throw new EdgeError('LOGIN_THROTTLED', `from ${request.ip} (http.maxFailedLogins)`);
      }
      const { token, name, role, expiresMs } = await sessions.open(request.body.code).catch((error: unknown) => {
        if (error instanceof EdgeError && error.act === 'refuse') failures.one(request.ip);
        throw error;
      });
      return reply.code(201).header('cache-control', 'no-store').send({ token, name, role, expiresMs });
    },
  );
  server.post(
    '/session/codes',
    {
      ...needs('operator'),
      schema: {
        summary: 'Make a one-time code to sign in to the console with',
        description:
          'It goes into a link, {console}/#/sign-in/{code}. Good once and for 10 minutes; at most 100 wait at a time, with one more the oldest is good for nothing.',
        tags,
        security: bearer,
        body: Type.Object(
          {
            role,
            name: Type.Optional(PersonName),
            seconds: Type.Optional(
              Type.Integer({
                minimum: 60,
                maximum: LONGEST_S,
                description: 'How long one stays signed in. Default: 12 h',
              }),
            ),
          },
          { additionalProperties: false },
        ),
        response: {
          201: Type.Object({
            code: Type.String({ description: '22 characters, base64url' }),
            role,
            name: Type.String(),
            expiresMs: Type.Integer({ description: 'When the code ends, Unix milliseconds' }),
          }),
        },
      },
    },
    async (request, reply) => {
      const { role, name = 'console', seconds = DEFAULT_S } = request.body;
      const made = sessions.makeCode({ role, name, seconds, by: request.person as Person });
      return reply
        .code(201)
        .header('cache-control', 'no-store')
        .send({ ...made, role, name });
    },
  );
  server.get(
    '/session',
    {
      ...needs('viewer'),
      schema: {
        summary: 'Whose token this is',
        tags,
        security: bearer,
        response: {
          200: Type.Intersect([SessionView, Type.Object({ id: Type.String({ description: 'Of the token' }) })]),
        },
      },
    },
    (request) => request.person as Person,
  );
  server.post(
    '/session/end',
    {
      ...needs('viewer'),
      schema: {
        summary: 'Sign out: the token that asks is revoked',
        tags,
        security: bearer,
        body: Type.Object({}, { additionalProperties: false }),
        response: { 200: Type.Object({ revokedMs: Ms }) },
      },
    },
    async (request) => {
      const person = request.person as Person;
      const { revokedMs } = await people.revokeToken(person.id, person);
      return { revokedMs: revokedMs as number };
    },
  );
}
