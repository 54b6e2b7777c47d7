/** Health, metrics, anchors, quarantine. */
import { Gauge, Registry } from 'prom-client';
import Type from 'typebox';
import type { Person } from '../tokens.ts';
import { describeQuarantined } from './describe.ts';
import type { ApiParts, Sample } from './parts.ts';
import { bearer, needs, type Server } from './server.ts';
import { AnchorView, HealthView, Index, page, QuarantineView } from './views.ts';

export function statusRoutes(server: Server, parts: ApiParts): void {
  server.get(
    '/health',
    { schema: { summary: 'State of each part', tags: ['status'], response: { 200: HealthView } } },
    () => parts.health(),
  );

  server.get(
    '/metrics',
    { schema: { summary: 'Prometheus text', tags: ['status'], response: { 200: Type.String() } } },
    async (_, reply) => reply.type('text/plain; version=0.0.4; charset=utf-8').send(await exposition(parts.samples())),
  );

  server.get(
    '/anchors',
    {
      ...needs('viewer'),
      schema: {
        summary: 'Checkpoints on the chain, newest first',
        tags: ['status'],
        security: bearer,
        querystring: page,
        response: { 200: Type.Object({ anchors: Type.Array(AnchorView) }) },
      },
    },
    (request) => ({ anchors: parts.anchors(request.query.limit, request.query.before) }),
  );

  const params = Type.Object({ id: Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }) });
  const body = Type.Object(
    {
      reason: Type.Optional(
        Type.String({
          minLength: 1,
          maxLength: 256,
          pattern: '^[^\\p{Cc}]+$',
          description: 'Why, in the words of who decides: it goes into the audit',
        }),
      ),
    },
    { additionalProperties: false },
  );
  server.post(
    '/quarantine/:id/release',
    {
      ...needs('operator'),
      schema: {
        summary: 'Offer a refused envelope again, as if it came now',
        description: 'Where it is refused again, the answer is the reason, and it stays.',
        tags: ['status'],
        security: bearer,
        params,
        body,
        response: { 200: Type.Object({ index: Index }) },
      },
    },
    async (request) => ({
      index: await parts.review.release(request.params.id, request.person as Person, request.body.reason),
    }),
  );
  server.post(
    '/quarantine/:id/drop',
    {
      ...needs('operator'),
      schema: {
        summary: 'Drop a refused envelope for good',
        tags: ['status'],
        security: bearer,
        params,
        body,
        response: { 200: Type.Object({ held: Type.Integer() }) },
      },
    },
    async (request) => {
      await parts.review.drop(request.params.id, request.person as Person, request.body.reason);
      return { held: parts.quarantine.held };
    },
  );

  server.get(
    '/quarantine',
    {
      ...needs('viewer'),
      schema: {
        summary: 'Refused envelopes, newest first',
        tags: ['status'],
        security: bearer,
        querystring: page,
        response: { 200: Type.Object({ quarantine: Type.Array(QuarantineView), held: Type.Integer() }) },
      },
    },
    (request) => ({
      quarantine: parts.quarantine.list(request.query.limit, request.query.before).map(describeQuarantined),
      held: parts.quarantine.held,
    }),
  );
}

/** Prometheus text. The numbers live where they arise; here they only get their form. */
async function exposition(samples: readonly Sample[]): Promise<string> {
  const registry = new Registry();
  const gauges = new Map<string, Gauge>();
  const types = new Map<string, Sample['type']>();
  for (const { name, help, type, value, labels = {} } of samples) {
    let gauge = gauges.get(name);
    if (!gauge) {
      gauge = new Gauge({ name, help, labelNames: Object.keys(labels), registers: [registry] });
      gauges.set(name, gauge);
    }
    types.set(name, type);
    gauge.set(labels, value);
  }
  const text = await registry.metrics();
  // prom-client's own types can only be added to; ours are read as a whole, so only the lines before them differ. Those of
  // a histogram stand once, before its buckets.
  return text.replace(/^# HELP (\S+) (.*)\n# TYPE \S+ gauge\n/gm, (_, name: string, help: string) => {
    const type = types.get(name) ?? 'gauge';
    const family = type === 'histogram' ? name.replace(/_(bucket|sum|count)$/, '') : name;
    return type === 'histogram' && !name.endsWith('_bucket')
      ? ''
      : `# HELP ${family} ${help}\n# TYPE ${family} ${type}\n`;
  });
}
