/** Device kinds, and how devices of them are read. */
import Type from 'typebox';
import type { ApiParts } from './parts.ts';
import { bearer, needs, type Server } from './server.ts';
import { ProfileView } from './views.ts';

export function profileRoutes(server: Server, { profiles }: ApiParts): void {
  const tags = ['devices'];
  server.get(
    '/profiles',
    {
      ...needs('viewer'),
      schema: {
        summary: 'What devices can be enrolled as, and all profiles by name',
        tags,
        security: bearer,
        response: {
          200: Type.Object({
            kinds: Type.Array(Type.String(), { description: 'What POST /devices takes as kind' }),
            profiles: Type.Array(ProfileView),
          }),
        },
      },
    },
    () => ({ kinds: profiles.kinds(), profiles: profiles.list() }),
  );
  server.get(
    '/profiles/:name',
    {
      ...needs('viewer'),
      schema: {
        summary: 'One profile',
        tags,
        security: bearer,
        params: Type.Object({ name: Type.String({ maxLength: 63 }) }),
        response: { 200: ProfileView },
      },
    },
    ({ params }) => profiles.get(params.name),
  );
}
