/** Living-alone care: opt-in, grades, and what a person decided. */
import Type from 'typebox';
import type { Person } from '../tokens.ts';
import { SubjectView, VERDICTS } from './care-views.ts';
import type { ApiParts } from './parts.ts';
import { bearer, needs, type Server } from './server.ts';
import { Did } from './views.ts';

const printable = { pattern: '^[^\\p{Cc}]*$' };

export function careRoutes(server: Server, { care }: ApiParts): void {
  const tags = ['care'];
  const params = Type.Object({ did: Did });
  const operator = needs('operator');
  server.get(
    '/care',
    {
      ...needs('engineer'),
      schema: {
        summary: 'People who live alone and have asked to be looked after: is their day like their own?',
        description:
          'Of each a grade and the code of its reason, made of sealed readings of this gateway when it is asked for. No reading, hour or amount of energy leaves.',
        tags,
        security: bearer,
        response: { 200: Type.Object({ subjects: Type.Array(SubjectView) }) },
      },
    },
    async () => ({ subjects: await care.list() }),
  );
  server.post(
    '/care',
    {
      ...operator,
      schema: {
        summary: 'Look after somebody who has asked for it',
        description:
          'Only with the consent of whom it is about, which is put into the audit trail. The meter is one of a sealed kind that bills 1-0:1.8.0.',
        tags,
        security: bearer,
        body: Type.Object(
          {
            did: Did,
            consent: Type.String({
              minLength: 1,
              maxLength: 500,
              ...printable,
              description: 'Who consented, when, and how',
            }),
            untilMs: Type.Optional(
              Type.Integer({
                minimum: 0,
                maximum: 8.64e15,
                description: 'Unix time in milliseconds when it ends by itself. Left out: when it is withdrawn',
              }),
            ),
          },
          { additionalProperties: false },
        ),
        response: { 201: SubjectView },
      },
    },
    async (request, reply) => {
      const { did, consent, untilMs = null } = request.body;
      return reply.code(201).send(await care.begin(did, consent, untilMs, request.person as Person));
    },
  );
  server.post(
    '/care/:did/decision',
    {
      ...operator,
      schema: {
        summary: 'What a person has decided about somebody, whatever the grade is',
        tags,
        security: bearer,
        params,
        body: Type.Object(
          {
            decision: Type.Enum([...VERDICTS], { description: 'none: all is well; call; visit' }),
            note: Type.Optional(Type.String({ maxLength: 500, ...printable })),
          },
          { additionalProperties: false },
        ),
        response: { 200: SubjectView },
      },
    },
    async ({ params: { did }, body: { decision, note = '' }, person }) =>
      await care.decide(did, decision, note, person as Person),
  );
  server.post(
    '/care/:did/withdraw',
    {
      ...operator,
      schema: {
        summary: 'Consent is withdrawn: nobody looks any more, and what was decided is destroyed',
        tags,
        security: bearer,
        params,
        body: Type.Object({}, { additionalProperties: false }),
        response: { 204: Type.Null() },
      },
    },
    async ({ params: { did }, person }, reply) => {
      await care.withdraw(did, person as Person);
      return reply.code(204).send(null);
    },
  );
}
