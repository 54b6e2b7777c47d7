/** Where the broker listens: plain TCP and, where there is a certificate, TLS; one cap on connections for both. */
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type TLSSocket } from 'node:tls';
import type { Caps } from '../caps.ts';
import { EdgeError, errorLine } from '../errors.ts';
import type { Certificate } from '../tls.ts';

export type ListenOptions = {
  host: string;
  port: number;
  /** As the config has it; `certificate` only where there is one. */
  tls: { host: string; port: number; certificate?: Certificate | undefined };
  maxConnections: () => number;
  connectTimeoutSeconds: number;
  caps: Caps;
  report: (line: string) => void;
  /** @param did that a certificate of this client's, from the pinned CA, names */
  connect: (socket: Socket, did: string | undefined) => void;
  /** A handshake that came to nothing. */
  onHandshakeFailed: (address: string, why: string) => void;
};

export class Listeners {
  readonly #o: ListenOptions;
  readonly #servers: Server[] = [];
  readonly #open = new Map<Server, Set<Socket>>();

  constructor(options: ListenOptions) {
    this.#o = options;
  }

  /** @throws EdgeError PORT_TAKEN; nothing listens then */
  async start(): Promise<{ port: number; tlsPort?: number }> {
    const { host, port, tls } = this.#o;
    try {
      const plain = await this.#listen(
        createServer((socket) => this.#o.connect(socket, undefined)),
        host,
        port,
      );
      return { port: plain, ...(tls.certificate ? { tlsPort: await this.#startTls(tls.certificate) } : {}) };
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  #startTls(certificate: Certificate): Promise<number> {
    const { tls, connectTimeoutSeconds } = this.#o;
    const server = createTlsServer(
      // A client without a certificate logs in as one over plain TCP does; one with a bad one is sent away below.
      { ...certificate.options, rejectUnauthorized: false, handshakeTimeout: connectTimeoutSeconds * 1000 },
      (socket) => {
        try {
          this.#o.connect(socket, didOfClient(socket));
        } catch (error) {
          socket.destroy();
          this.#o.onHandshakeFailed(socket.remoteAddress ?? '', errorLine(error));
        }
      },
    );
    server.on('tlsClientError', (error, socket) => {
      socket.destroy();
      this.#o.onHandshakeFailed(socket.remoteAddress ?? '', error.message);
    });
    certificate.onChange((context) => server.setSecureContext(context));
    return this.#listen(server, tls.host, tls.port);
  }

  async #listen(server: Server, host: string, port: number): Promise<number> {
    const open = new Set<Socket>();
    this.#servers.push(server);
    this.#open.set(server, open);
    server.on('connection', (socket: Socket) => {
      open.add(socket);
      this.share();
      socket.once('close', () => {
        open.delete(socket);
        this.share();
      });
    });
    server.on('drop', () => this.#o.caps.hit('mqtt.maxConnections'));
    this.share();
    try {
      server.listen(port, host);
      await once(server, 'listening');
    } catch (error) {
      throw new EdgeError('PORT_TAKEN', `mqtt ${host}:${port} (${(error as NodeJS.ErrnoException).code})`);
    }
    server.on('error', (error) => this.#o.report(`mqtt: ${errorLine(error)}`));
    return (server.address() as { port: number }).port;
  }

  /** Each may take what the other one leaves. To be called when there may be more of them, or fewer. */
  share(): void {
    let total = 0;
    for (const { size } of this.#open.values()) total += size;
    for (const [server, { size }] of this.#open) server.maxConnections = this.#o.maxConnections() - (total - size);
  }

  /** Takes no new connections, then closes those that are open: by `closeClients`, and what has got no further. */
  async stop(closeClients: () => void = () => undefined): Promise<void> {
    const servers = this.#servers.splice(0).filter((server) => server.listening);
    const closed = servers.map((server) => once(server, 'close'));
    for (const server of servers) server.close();
    closeClients();
    for (const server of servers) for (const socket of this.#open.get(server) ?? []) socket.destroy();
    await Promise.all(closed);
  }
}

/**
 * The DID that a certificate names, as the one URI in its subjectAltName (RFC 5280 section 4.2.1.6) that is a did:key.
 * Not by a table in the config: whoever runs the CA says which device it is, once, and in what is signed.
 * @throws EdgeError LOGIN_FAILED where there is a certificate that is not from the pinned CA, or names no DID
 */
function didOfClient(socket: TLSSocket): string | undefined {
  const certificate = socket.getPeerX509Certificate();
  if (!certificate) return undefined;
  if (!socket.authorized)
    throw new EdgeError('LOGIN_FAILED', `a client certificate that is not good: ${socket.authorizationError}`);
  // Node quotes what could be misread; a did:key has nothing to quote.
  const dids = (certificate.subjectAltName ?? '').split(', ').filter((name) => name.startsWith('URI:did:key:'));
  if (dids.length !== 1)
    throw new EdgeError('LOGIN_FAILED', `a client certificate with ${dids.length} did:key URIs in its subjectAltName`);
  return (dids[0] as string).slice('URI:'.length);
}
