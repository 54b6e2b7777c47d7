/** The console's files at `/`. They are few and small, and kept in memory as they go out. */
import { hash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { FastifyReply, FastifyRequest } from 'fastify';
import Type from 'typebox';
import { EdgeError, errorLine } from '../errors.ts';
import type { Server } from './server.ts';

const TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
};

type File = { type: string; etag: string; plain: Buffer; gzip: Buffer; policy: string };

/**
 * Nothing comes from elsewhere, and nothing is inline but what a page was built with. A page may ask any node of the
 * chain: whoever checks this gateway need not believe the one that it names.
 */
function policyOf(type: string, text: string): string {
  const inline = (tag: string): string =>
    type.startsWith('text/html')
      ? [...text.matchAll(new RegExp(`<${tag}(?: type="module")?>([\\s\\S]*?)</${tag}>`, 'g'))]
          .map((m) => ` 'sha256-${hash('sha256', m[1] as string, 'base64')}'`)
          .join('')
      : '';
  return [
    "default-src 'self'",
    `script-src 'self'${inline('script')}`,
    `style-src 'self'${inline('style')}`,
    "img-src 'self' data: blob:",
    "connect-src 'self' http: https:",
    "object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  ].join('; ');
}

function load(folder: string): Map<string, File> {
  const files = new Map<string, File>();
  for (const name of readdirSync(folder)) {
    const type = TYPES[extname(name)];
    if (!type) continue;
    const plain = readFileSync(join(folder, name));
    files.set(name, {
      type,
      plain,
      gzip: gzipSync(plain),
      etag: `"${hash('sha256', plain).slice(0, 32)}"`,
      policy: policyOf(type, plain.toString()),
    });
  }
  return files;
}

/** @param folder makes the files where need be; asked once, at the first request, and again where it failed */
export function consoleRoutes(server: Server, folder: () => Promise<string>, onError: (line: string) => void): void {
  let files: Promise<Map<string, File>> | undefined;
  const answer = async (request: FastifyRequest, reply: FastifyReply, name: string): Promise<FastifyReply> => {
    files ??= folder().then(load);
    const file = (
      await files.catch((error: unknown) => {
        files = undefined;
        onError(`console: ${errorLine(error)}`);
        throw error;
      })
    ).get(name);
    if (!file) throw new EdgeError('NOT_FOUND', `${request.method} /${name}`);
    const zipped = /\bgzip\b/.test(request.headers['accept-encoding'] ?? '');
    void reply
      .header('content-security-policy', file.policy)
      .header('x-content-type-options', 'nosniff')
      .header('referrer-policy', 'no-referrer')
      .header('cache-control', 'no-cache') // asks each time, and is answered by 304
      .header('vary', 'accept-encoding')
      .header('etag', file.etag);
    if (request.headers['if-none-match']?.split(/\s*,\s*/).includes(file.etag)) return reply.code(304).send();
    if (zipped) void reply.header('content-encoding', 'gzip');
    return reply.type(file.type).send(zipped ? file.gzip : file.plain);
  };
  server.get('/', { schema: { hide: true } }, async (request, reply) => {
    try {
      return await answer(request, reply, 'index.html');
    } catch (error) {
      // Who opens the address in a browser is a person.
      if (!(error instanceof EdgeError) || !request.headers.accept?.includes('text/html')) throw error;
      return reply.code(error.status).type('text/plain; charset=utf-8').send(`${error.line}\n`);
    }
  });
  server.get(
    '/:file(^[a-z][A-Za-z0-9-]*\\.(?:html|js|css|svg)$)',
    { schema: { hide: true, params: Type.Object({ file: Type.String() }) } },
    (request, reply) => answer(request, reply, request.params.file),
  );
}
