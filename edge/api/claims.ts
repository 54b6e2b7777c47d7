/** Self-enrolment with a one-time code: made by an operator, shown by a device, confirmed by an operator. */
import Type from 'typebox';
import { EdgeError } from '../errors.ts';
import type { Person } from '../tokens.ts';
import { CLAIM_ID } from '../wire/claim.ts';
import { describeDevice } from './describe.ts';
import type { ApiParts } from './parts.ts';
import { bearer, needs, type Server } from './server.ts';
import { ClaimView, DeviceView, Did, ExpectedView } from './views.ts';

const LONGEST_S = 7 * 86_400;
const DEFAULT_S = 3600;
const MAX_LISTED = 1000;

export function claimRoutes(server: Server, parts: ApiParts, onTooManyFailures: () => void): void {
  const { claiming, quarantine, failures } = parts;
  const tags = ['devices'];
  const operator = needs('operator');
  const params = Type.Object({ id: Type.String({ pattern: `^${CLAIM_ID}$` }) });
  server.get(
    '/claims',
    {
      ...operator,
      schema: {
        summary: 'Claims, newest first; at most 1,000',
        tags,
        security: bearer,
        response: { 200: Type.Object({ claims: Type.Array(ClaimView) }) },
      },
    },
    () => ({ claims: claiming.list(MAX_LISTED).map(describe) }),
  );
  server.post(
    '/claims',
    {
      ...operator,
      schema: {
        summary: 'Expect a device that enrols itself',
        description:
          'The code is in the answer, this once: whoever has it may come for the claim, once, until it expires.',
        tags,
        security: bearer,
        body: Type.Object(
          {
            ...ExpectedView.properties,
            seconds: Type.Optional(Type.Integer({ minimum: 60, maximum: LONGEST_S, description: 'Default: 1 h' })),
          },
          { additionalProperties: false },
        ),
        response: { 201: Type.Intersect([ClaimView, Type.Object({ code: Type.String() })]) },
      },
    },
    async (request, reply) => {
      const { seconds = DEFAULT_S, ...expected } = request.body;
      const made = await claiming.make(expected, seconds, request.person as Person);
      return reply.code(201).send({ ...describe(made), code: made.code });
    },
  );
  server.post(
    '/claims/:id',
    {
      schema: {
        summary: 'Show that you have the code, and which key you hold',
        description:
          'proof: a JWT by the key of did (EdDSA or ES256; sub the DID, aud the origin, at most an hour long), with jti the id of the claim and nonce base64url(HMAC-SHA256(SHA-256(secret), "claim" 0 id 0 did 0 origin)), where secret is the second part of the code in base32, and 0 a zero byte. The same again answers how the claim stands.',
        tags,
        params,
        body: Type.Object({ did: Did, proof: Type.String({ maxLength: 4096 }) }, { additionalProperties: false }),
        response: {
          202: Type.Object({
            status: Type.String(),
            kind: Type.String(),
            sub: Type.String(),
            fingerprint: Type.String({ description: 'Show it, so that a person can compare it' }),
          }),
        },
      },
    },
    async (request, reply) => {
      if (failures.tooMany(request.ip)) {
        onTooManyFailures();
        throw new EdgeError('LOGIN_THROTTLED', `from ${request.ip} (http.maxFailedLogins)`);
      }
      const { did, proof } = request.body;
      const claim = await claiming.prove(request.params.id, did, proof).catch((error: unknown) => {
        failures.one(request.ip);
        throw error;
      });
      const { kind, sub } = JSON.parse(claim.wanted) as { kind: string; sub: string };
      return reply.code(202).send({ status: claim.status, kind, sub, fingerprint: claim.fingerprint as string });
    },
  );
  server.post(
    '/claims/:id/confirm',
    {
      ...operator,
      schema: {
        summary: 'Enrol the device that came, after a look at its fingerprint',
        tags,
        security: bearer,
        params,
        body: Type.Object({ fingerprint: Type.String({ maxLength: 20 }) }, { additionalProperties: false }),
        response: { 200: DeviceView },
      },
    },
    async (request) => {
      const { fingerprint } = request.body;
      const device = await claiming.confirm(request.params.id, fingerprint, request.person as Person);
      return describeDevice(device, quarantine);
    },
  );
  server.post(
    '/claims/:id/drop',
    {
      ...operator,
      schema: {
        summary: 'Nobody may come for this claim any more, and who came is not enrolled',
        tags,
        security: bearer,
        params,
        body: Type.Object({}, { additionalProperties: false }),
        response: { 200: ClaimView },
      },
    },
    async (request) => describe(await claiming.drop(request.params.id, request.person as Person)),
  );
}

const describe = ({ id, wanted, madeMs, expiresMs, madeBy, status, did, fingerprint }: ClaimView): ClaimView => ({
  id,
  wanted,
  madeMs,
  expiresMs,
  madeBy,
  status,
  did,
  fingerprint,
});
