/** The same API over TLS, on a listener of its own beside the plain one. */
import { once } from 'node:events';
import { createServer, type Server as HttpsServer } from 'node:https';
import type { Socket } from 'node:net';
import { EdgeError } from '../errors.ts';
import type { Certificate } from '../tls.ts';
import type { Server } from './server.ts';

export type HttpsOptions = {
  host: string;
  port: number;
  certificate: Certificate;
  requestTimeoutMs: number;
  onClientError: (error: Error, socket: Socket) => void;
};

/** @param server that is ready. @throws EdgeError PORT_TAKEN */
export async function listenTls(server: Server, o: HttpsOptions): Promise<HttpsServer> {
  const https = createServer(
    {
      ...o.certificate.options,
      // Where clients have certificates, whoever has none is refused in the handshake.
      rejectUnauthorized: true,
      handshakeTimeout: o.requestTimeoutMs,
      requestTimeout: o.requestTimeoutMs,
    },
    (request, reply) => server.routing(request, reply),
  );
  https.on('clientError', (error, socket) => o.onClientError(error, socket as Socket));
  https.on('tlsClientError', (_, socket) => socket.destroy());
  o.certificate.onChange((context) => https.setSecureContext(context));
  try {
    https.listen(o.port, o.host);
    await once(https, 'listening');
  } catch (error) {
    throw new EdgeError('PORT_TAKEN', `https ${o.host}:${o.port} (${(error as NodeJS.ErrnoException).code})`);
  }
  return https;
}
