/** The log as C2SP tlog-tiles serves it, open to everybody. */
import Type from 'typebox';
import { EdgeError } from '../errors.ts';
import { parseTilePath } from '../log/tile.ts';
import type { ApiParts } from './parts.ts';
import type { Server } from './server.ts';
import { ChainView, WitnessesView } from './views.ts';

const IMMUTABLE = 'public, max-age=31536000, immutable';

export function logRoutes(server: Server, { log, witnesses, anchorsPlace }: ApiParts): void {
  const text = 'text/plain; charset=utf-8';
  server.get(
    '/log/checkpoint',
    {
      schema: {
        summary: 'The newest checkpoint, a C2SP signed note, with the cosignatures that have come so far',
        tags: ['log'],
        response: { 200: Type.String() },
      },
    },
    async (_, reply) => {
      if (!log.latest) throw new EdgeError('NOT_IN_CHECKPOINT', 'the log has no checkpoint yet');
      return reply.type(text).header('cache-control', 'no-cache').send(log.latest.note);
    },
  );
  server.get(
    '/log/key',
    { schema: { summary: 'The key of the log, a C2SP verifier key', tags: ['log'], response: { 200: Type.String() } } },
    async (_, reply) => reply.type(text).send(`${log.verifierKey}\n`),
  );
  server.get(
    '/log/chain',
    {
      schema: {
        summary: 'Where the log is anchored, as the gateway says it',
        description: 'Whoever verifies takes the contract from the city, and any node of the chain.',
        tags: ['log'],
        response: { 200: ChainView },
      },
    },
    () => ({ chain: anchorsPlace() }),
  );
  server.get(
    '/log/minimum-index',
    {
      schema: {
        summary: 'The minimum index of tlog-tiles',
        description:
          'Every entry from here on is served. Below it payloads may be pruned, and their bundles answer 410; all tiles of hashes are served for ever.',
        tags: ['log'],
        response: { 200: Type.String() },
      },
    },
    async (_, reply) => reply.type(text).header('cache-control', 'no-cache').send(`${log.minimumIndex}\n`),
  );
  server.get(
    '/log/witnesses',
    {
      schema: {
        summary: 'Who cosigns the checkpoints of this log, how many must, and how many did',
        tags: ['log'],
        response: { 200: WitnessesView },
      },
    },
    () => witnesses.view(),
  );
  server.get(
    '/log/tile/*',
    {
      schema: {
        summary: 'A tile of hashes, or an entry bundle (tile/entries/...)',
        tags: ['log'],
        params: Type.Object({ '*': Type.String({ maxLength: 64 }) }),
        response: {
          200: {
            content: {
              'application/octet-stream': { schema: Type.Unsafe<Buffer>({ type: 'string', format: 'binary' }) },
            },
          },
        },
      },
    },
    async (request, reply) => {
      const path = `tile/${request.params['*']}`;
      const tile = parseTilePath(path);
      const bytes = !tile
        ? undefined
        : tile.level === 'entries'
          ? log.entryBundle(tile.n, tile.width)
          : log.tile(tile.level, tile.n, tile.width);
      if (!bytes) throw new EdgeError('NOT_FOUND', `/log/${path} is no tile of a checkpoint's tree`);
      return reply.type('application/octet-stream').header('cache-control', IMMUTABLE).send(Buffer.from(bytes));
    },
  );
}
