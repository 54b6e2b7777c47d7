/** C2SP tlog-witness: open to every log that the config names, by its signature alone. */
import Type from 'typebox';
import { MAX_ADD_CHECKPOINT } from '../log/cosignature.ts';
import type { ApiParts } from './parts.ts';
import { bearer, needs, type Server } from './server.ts';
import { EvidenceView, page } from './views.ts';

export async function witnessRoutes(server: Server, { witness }: ApiParts): Promise<void> {
  const text = 'text/plain; charset=utf-8';
  server.get(
    '/witness/key',
    {
      schema: {
        summary: 'The key of this gateway as a witness, a C2SP verifier key (type 0x04)',
        tags: ['witness'],
        response: { 200: Type.String() },
      },
    },
    async (_, reply) => reply.type(text).send(`${witness.verifierKey}\n`),
  );
  server.get(
    '/witness/evidence',
    {
      ...needs('viewer'),
      schema: {
        summary: 'Checkpoints of other logs that contradict what is held of them, newest first',
        tags: ['witness'],
        security: bearer,
        querystring: page,
        response: { 200: Type.Object({ evidence: Type.Array(EvidenceView) }) },
      },
    },
    (request) => ({ evidence: witness.evidence(request.query.limit, request.query.before) }),
  );
  // The specification names no content type: whatever comes is bytes.
  await server.register(async (scope) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('*', { parseAs: 'buffer', bodyLimit: MAX_ADD_CHECKPOINT }, (_, body, done) =>
      done(null, body),
    );
    scope.post(
      '/witness/add-checkpoint',
      {
        bodyLimit: MAX_ADD_CHECKPOINT,
        schema: {
          summary: 'Cosign a checkpoint (C2SP tlog-witness)',
          description:
            'Body: the line old and a size, the hashes of the consistency proof one a line in base64, an empty line, the signed checkpoint. Answers signature lines; 409 with the size that is held where old is another.',
          tags: ['witness'],
          response: {
            200: { content: { 'text/plain': { schema: Type.String() } } },
            409: { content: { 'text/x.tlog.size': { schema: Type.String() } } },
          },
        },
      },
      async (request, reply) => {
        const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
        const answer = await witness.addCheckpoint(body);
        if ('cosigned' in answer) return reply.type(text).send(answer.cosigned);
        // As bytes: to a string fastify would add a charset, which is not the type that the specification names.
        return reply
          .code(409)
          .type('text/x.tlog.size')
          .send(Buffer.from(`${answer.held}\n`));
      },
    );
  });
}
