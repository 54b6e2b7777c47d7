/** Checks of vehicles: asking who is at a gate, what was decided, and the city's bundle. */
import Type from 'typebox';
import { EdgeError } from '../errors.ts';
import type { Person } from '../tokens.ts';
import { MAX_BUNDLE_BYTES } from '../wire/vc/city-bundle.ts';
import { AskView, BundleView, CheckView, describeCheck, GateView } from './check-views.ts';
import type { ApiParts } from './parts.ts';
import { bearer, needs, type Server } from './server.ts';
import { Index, page } from './views.ts';

const TIMEOUT_MS = 10_000;
const RECENT_MS = 5_000;

export async function checkRoutes(server: Server, { checks }: ApiParts): Promise<void> {
  const tags = ['checks'];
  server.post(
    '/checks',
    {
      ...needs('engineer'),
      schema: {
        summary: 'Who is at this gate, may it pass?',
        description:
          'Answers with the next decision at the gate, or with one of the last seconds that nobody has asked for. Each decision answers one request. Without a vehicle there is no decision: CHECK_TIMEOUT, to be read as no.',
        tags,
        security: bearer,
        body: AskView,
        response: { 200: CheckView },
      },
    },
    async (request, reply) => {
      const { timeoutMs = TIMEOUT_MS, recentMs = RECENT_MS, ...asked } = request.body;
      const left = new AbortController();
      reply.raw.once('close', () => left.abort());
      return describeCheck(await checks.ask({ ...asked, timeoutMs, recentMs }, left.signal), true);
    },
  );
  server.get(
    '/checks',
    {
      ...needs('viewer'),
      schema: {
        summary: 'Decisions about vehicles, newest first, and how many of each there are',
        tags,
        security: bearer,
        querystring: page,
        response: {
          200: Type.Object({
            checks: Type.Array(CheckView),
            counts: Type.Array(Type.Object({ decision: Type.String(), reason: Type.String(), n: Type.Integer() }), {
              description: 'Of those that are kept here',
            }),
          }),
        },
      },
    },
    (request) => {
      const { rows } = checks;
      const { limit, before } = request.query;
      return { checks: rows.list(limit, before).map((row) => describeCheck(row)), counts: rows.counts() };
    },
  );
  server.get(
    '/checks/:index',
    {
      ...needs('viewer'),
      schema: {
        summary: 'One decision, with the signed document, and salt and content that the log entry proves',
        tags,
        security: bearer,
        params: Type.Object({ index: Index }),
        response: { 200: CheckView },
      },
    },
    (request) => {
      const row = checks.rows.get(request.params.index);
      if (!row) throw new EdgeError('NOT_FOUND', `no check at entry ${request.params.index}`);
      return describeCheck(row, true);
    },
  );
  server.get(
    '/checks/gates',
    {
      ...needs('viewer'),
      schema: {
        summary: 'Gates and chargers of this gateway, and what one may pass for there',
        tags,
        security: bearer,
        response: { 200: Type.Object({ gates: Type.Array(GateView) }) },
      },
    },
    () => ({ gates: checks.gates() }),
  );
  server.get(
    '/checks/bundle',
    {
      ...needs('viewer'),
      schema: {
        summary: "The city's bundle: version, age, and how late a revocation may come",
        tags,
        security: bearer,
        response: {
          200: Type.Object({
            bundle: Type.Union([BundleView, Type.Null()]),
            problem: Type.Union([Type.String(), Type.Null()]),
          }),
        },
      },
    },
    () => checks.bundle(),
  );
  // As the very bytes that the city signed: names that stand twice would be lost in a parsed body.
  await server.register(async (scope) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('*', { parseAs: 'buffer', bodyLimit: MAX_BUNDLE_BYTES }, (_, body, done) =>
      done(null, body),
    );
    scope.post(
      '/checks/bundle',
      {
        ...needs('operator'),
        bodyLimit: MAX_BUNDLE_BYTES,
        schema: {
          summary: 'Bring a city bundle',
          description: 'Body: the bundle as the city published it. Older than what is held: BUNDLE_ROLLBACK.',
          tags,
          security: bearer,
          response: { 200: BundleView },
        },
      },
      async (request) => {
        const bytes = Buffer.isBuffer(request.body) ? request.body : new Uint8Array(0);
        return checks.offerBundle(bytes, request.person as Person);
      },
    );
  });
}
