/** Forgetting. */
import Type from 'typebox';
import type { Person } from '../tokens.ts';
import type { ApiParts } from './parts.ts';
import { bearer, needs, type Server } from './server.ts';
import { ForgottenView } from './views.ts';

export function forgetRoutes(server: Server, parts: ApiParts): void {
  server.post(
    '/forget',
    {
      ...needs('operator'),
      schema: {
        summary: 'Forget a subject',
        description:
          'Destroys what the sealed entries of a device (its DID), or of all devices of a metering point or vehicle (its URN), are over, and what of them lies in quarantine. Cannot be undone. An entry of the gateway says that somebody was forgotten, by a salted digest; the salt is in this answer and nowhere else. Receipts still verify. Repeating it does no harm.',
        tags: ['devices'],
        security: bearer,
        body: Type.Object(
          { subject: Type.String({ pattern: '^(did|urn):[\\x21-\\x7e]+$', maxLength: 256 }) },
          { additionalProperties: false },
        ),
        response: { 200: ForgottenView },
      },
    },
    async (request) => {
      const { salt, ...rest } = await parts.forget(request.body.subject, request.person as Person);
      return { ...rest, salt: salt && Buffer.from(salt).toString('hex') };
    },
  );
}
