/** Alarms: what needs a person, and what did. */
import Type, { type Static } from 'typebox';
import { ERRORS } from '../errors.ts';
import type { AlarmRow } from '../store/alarms.ts';
import type { Person } from '../tokens.ts';
import type { ApiParts } from './parts.ts';
import { bearer, needs, type Server } from './server.ts';
import { Ms, Nullable, page } from './views.ts';

export const AlarmView = Type.Object({
  id: Type.Integer(),
  code: Type.String({ description: 'Stable code' }),
  part: Type.String({ description: 'Part of the gateway' }),
  where: Type.String({ description: 'A DID, or what in that part' }),
  title: Type.String({ description: 'What is wrong' }),
  detail: Type.String({ description: 'In this case' }),
  todo: Type.String({ description: 'What to do' }),
  severity: Type.Enum(['warning', 'alarm']),
  raisedMs: Ms,
  lastMs: Type.Integer({ description: 'When it was seen last, Unix milliseconds' }),
  times: Type.Integer({ description: 'How often it came while it was open' }),
  clearedMs: Nullable(Type.Integer({ description: 'When it was over, Unix milliseconds; null while it is open' })),
  byPerson: Type.Boolean({ description: 'True where a person may say that it is over' }),
});
export type AlarmView = Static<typeof AlarmView>;

export function describeAlarm({ source, place, change: _, ...row }: AlarmRow): AlarmView {
  // A row outlives the program that wrote it: its code may be one that this one doesn't have any more.
  const { title, todo } = ERRORS[row.code as keyof typeof ERRORS] ?? ERRORS.PART_UNWELL;
  return { ...row, where: place, title, todo, byPerson: source === 'said' || source === 'quarantine' };
}

export function alarmRoutes(server: Server, { alarms }: ApiParts): void {
  const tags = ['status'];
  server.get(
    '/alarms',
    {
      ...needs('viewer'),
      schema: {
        summary: 'What needs a person, and what did; newest first',
        description:
          'A part that is not well, a warning with a code, a device that is silent, a refused envelope that speaks of a cloned key. One for each code and place; it is over when its cause is. The newest 10,000 are kept, over restarts too.',
        tags,
        security: bearer,
        querystring: Type.Object(
          {
            ...page.properties,
            open: Type.Optional(Type.Boolean({ description: 'Only those that are open, or only those that are over' })),
          },
          { additionalProperties: false },
        ),
        response: { 200: Type.Object({ open: Type.Integer(), alarms: Type.Array(AlarmView) }) },
      },
    },
    ({ query: { limit, before, open } }) => ({
      open: alarms.open(),
      alarms: alarms.rows.list(limit, before, open).map(describeAlarm),
    }),
  );
  server.post(
    '/alarms/:id/clear',
    {
      ...needs('operator'),
      schema: {
        summary: 'Say that an alarm is over',
        description:
          'Of a warning that was said, and of refused envelopes. Others end by themselves, and only so: 409 ALARM_STATE.',
        tags,
        security: bearer,
        params: Type.Object({ id: Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }) }),
        body: Type.Object({}, { additionalProperties: false }),
        response: { 200: AlarmView },
      },
    },
    async (request) => describeAlarm(await alarms.clear(request.params.id, request.person as Person)),
  );
}
