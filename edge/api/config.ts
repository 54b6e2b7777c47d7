/** The config in force, and taking over a changed file. */
import Type, { type Static } from 'typebox';
import { EdgeError } from '../errors.ts';
import type { Person } from '../tokens.ts';
import type { ApiParts } from './parts.ts';
import { bearer, needs, type Server } from './server.ts';

const Keys = (description: string) => Type.Array(Type.String(), { description });

export const ConfigView = Type.Object(
  {
    file: Type.String(),
    sha256: Type.String({ description: 'Of the text that is in force, in hex' }),
    inForce: Type.Enum(['file', 'last good'], {
      description: 'last good: the gateway could not come up with what was in the file',
    }),
    problem: Type.Union([Type.String(), Type.Null()], { description: 'Why the file, as it is now, is not in force' }),
    waiting: Keys('Keys that were changed, and wait for a restart'),
    restarts: Type.Boolean({
      description: 'Whether somebody starts the gateway again when it ends (POST /config/restart)',
    }),
  },
  { $id: 'Config' },
);
export type ConfigView = Static<typeof ConfigView>;

export const ReloadedView = Type.Object(
  {
    sha256: Type.String({ description: 'Of the file that was read, in hex' }),
    taken: Keys('Keys that are in force now'),
    waiting: Keys('Keys that were changed, and wait for a restart'),
    refused: Type.Array(Type.Object({ key: Type.String(), problem: Type.String() }), {
      description: 'Keys that could not be taken, with the reason: what was before stays',
    }),
  },
  { $id: 'Reloaded' },
);
export type ReloadedView = Static<typeof ReloadedView>;

export type HealthPart = { ok: boolean; detail: string };

export type ConfigParts = {
  view: () => ConfigView;
  /** @throws EdgeError CONFIG_INVALID */
  reload: (by: Person) => Promise<ReloadedView>;
  /** @throws EdgeError RESTART_UNATTENDED */
  restart: (by: Person) => Promise<void>;
};

export function configRoutes(server: Server, parts: ApiParts): void {
  const config = (): ConfigParts => {
    if (!parts.config) throw new EdgeError('CONFIG_NO_FILE', 'its config was made by the program that started it');
    return parts.config;
  };
  const body = Type.Object({}, { additionalProperties: false });
  const common = { tags: ['status'], security: bearer };
  server.get(
    '/config',
    { ...needs('operator'), schema: { ...common, summary: 'The config in force', response: { 200: ConfigView } } },
    () => config().view(),
  );
  server.post(
    '/config/reload',
    {
      ...needs('operator'),
      schema: {
        ...common,
        summary: 'Read the config file again, and take over what needs no restart',
        description: 'As SIGHUP does. No connection is dropped.',
        body,
        response: { 200: ReloadedView },
      },
    },
    (request) => config().reload(request.person as Person),
  );
  server.post(
    '/config/restart',
    {
      ...needs('operator'),
      schema: {
        ...common,
        summary: 'End, and be started again with the config as it is in the file',
        description:
          'Where the gateway does not come up with it, it comes up with the last good one. Connections end; devices connect again.',
        body,
        response: { 200: Type.Object({}) },
      },
    },
    async (request) => {
      await config().restart(request.person as Person);
      return {};
    },
  );
}
