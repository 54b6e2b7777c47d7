/** How the gateway does, second by second. */
import Type, { type Static } from 'typebox';
import type { ApiParts } from './parts.ts';
import { bearer, needs, type Server } from './server.ts';
import { Ms, Nullable } from './views.ts';

export const VitalView = Type.Object({
  ms: Ms,
  entriesPerSecond: Type.Number({ description: 'Since the look before' }),
  entries: Type.Integer({ description: 'In the log' }),
  checkpointSize: Type.Integer({ description: 'Entries under the newest checkpoint' }),
  anchoredSize: Nullable(Type.Integer({ description: "Entries under the contract's head; null without a chain" })),
  oldestUnanchoredSeconds: Nullable(
    Type.Number({
      description: 'How long the oldest entry has waited for its anchor; null where none waits, and without a chain',
    }),
  ),
  connected: Type.Integer({ description: 'MQTT clients' }),
  quarantined: Type.Integer({ description: 'Refused envelopes that lie in quarantine' }),
  lastCommitMs: Type.Number({ description: 'How long the last transaction took, with its fsync' }),
  diskFreeBytes: Nullable(
    Type.Integer({ description: 'Bytes that the database may still take, by its quota and its disk' }),
  ),
  diskLevel: Type.Enum(['ok', 'low', 'full'], { description: 'full: readings are refused' }),
  clockSynced: Type.Boolean({ description: 'The wall clock was set from outside' }),
  openAlarms: Type.Integer({ description: 'See GET /alarms' }),
  certificatesMinted: Nullable(
    Type.Integer({ description: 'Hours on the chain that are not withdrawn; null where no certificates are made' }),
  ),
});
export type VitalView = Static<typeof VitalView>;

export function vitalRoutes(server: Server, { vitals }: ApiParts): void {
  server.get(
    '/vitals',
    {
      ...needs('viewer'),
      schema: {
        summary: 'How the gateway does, a look a second, of the last ten minutes and this run',
        description: 'The oldest first. To go on, ask for those after the last one.',
        tags: ['status'],
        security: bearer,
        querystring: Type.Object(
          {
            after: Type.Integer({
              minimum: 0,
              maximum: Number.MAX_SAFE_INTEGER,
              default: 0,
              description: 'Only those later than this, Unix milliseconds',
            }),
          },
          { additionalProperties: false },
        ),
        response: { 200: Type.Object({ everyMs: Type.Integer(), vitals: Type.Array(VitalView) }) },
      },
    },
    ({ query: { after } }) => ({ everyMs: vitals.everyMs, vitals: vitals.list(after) }),
  );
}
