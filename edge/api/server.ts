/** The HTTP server: who may ask what, errors as problem documents, OpenAPI. Routes are in their own files. */
import { hash } from 'node:crypto';
import { STATUS_CODES } from 'node:http';
import type { Server as HttpsServer } from 'node:https';
import type { Socket } from 'node:net';
import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import Fastify, { type FastifyError, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import type { TSchema } from 'typebox';
import Value from 'typebox/value';
import { EdgeError, ERRORS } from '../errors.ts';
import type { Certificate } from '../tls.ts';
import { type Person, ROLES, type Role } from '../tokens.ts';
import { alarmRoutes } from './alarms.ts';
import { careRoutes } from './care.ts';
import { certificateRoutes } from './certificates.ts';
import { checkRoutes } from './checks.ts';
import { claimRoutes } from './claims.ts';
import { configRoutes } from './config.ts';
import { consoleRoutes } from './console.ts';
import { deviceRoutes } from './devices.ts';
import { districtRoutes } from './district.ts';
import { entryRoutes } from './entries.ts';
import { eventRoutes } from './events.ts';
import { forgetRoutes } from './forget.ts';
import { listenTls } from './https.ts';
import { logRoutes } from './log.ts';
import type { ApiParts } from './parts.ts';
import { peopleRoutes } from './people.ts';
import { profileRoutes } from './profiles.ts';
import { seriesRoutes } from './series.ts';
import { sessionRoutes } from './session.ts';
import { statusRoutes } from './status.ts';
import { successionRoutes } from './succession.ts';
import { Problem } from './views.ts';
import { vitalRoutes } from './vitals.ts';
import { witnessRoutes } from './witness.ts';

export type ApiOptions = {
  host: string;
  port: number;
  /** As the config has it; `certificate` only where there is one. */
  tls: { host: string; port: number; certificate?: Certificate | undefined };
  maxEventStreams: number;
  onReadersFull: () => void;
  onTooManyFailures: () => void;
  version: string;
  onError: (line: string) => void;
  /** Told of each answer. */
  onRequest?: ((line: string) => void) | undefined;
};

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The least role; a route without one is open. */
    role?: Role;
  }
  interface FastifyRequest {
    person?: Person;
  }
}

const MAX_BODY = 256 * 1024;
const MAX_GOOD = 1000;
const REQUEST_TIMEOUT_MS = 30_000;

/**
 * For the page at /docs. swagger-ui's own policy lets other hosts in, and has browsers ask for https, which a gateway
 * on a pole does not have.
 */
const DOCS_POLICY =
  "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; frame-ancestors 'self'";

const makeServer = () =>
  Fastify({
    bodyLimit: MAX_BODY,
    requestTimeout: REQUEST_TIMEOUT_MS,
    routerOptions: { maxParamLength: 300 },
    // A parameter that is misspelt is refused, not dropped.
    ajv: { customOptions: { removeAdditional: false } },
    frameworkErrors: (error, _, reply) => {
      send(reply, new EdgeError('REQUEST_INVALID', error.message), error.statusCode);
    },
    clientErrorHandler: onClientError,
  }).withTypeProvider<TypeBoxTypeProvider>();
export type Server = ReturnType<typeof makeServer>;

export function problem(error: EdgeError) {
  const { title, todo, status } = ERRORS[error.code];
  return { type: `urn:sejong-edge:error:${error.code}`, title, status, detail: error.detail, code: error.code, todo };
}

export class Api {
  readonly #parts: ApiParts;
  readonly #o: ApiOptions;
  #server: FastifyInstance | undefined;
  #https: HttpsServer | undefined;
  #stopEvents: () => void = () => undefined;
  /** Tell readers of /events that there may be something new. */
  wake: () => void = () => undefined;
  /** End the streams of /events of such people. */
  endStreams: (where: (person: Person) => boolean) => void = () => undefined;
  /** Digests of tokens that were good lately: they are looked at also where too many others from there were not. */
  readonly #good = new Set<string>();

  constructor(parts: ApiParts, options: ApiOptions) {
    this.#parts = parts;
    this.#o = options;
  }

  limit({ maxEventStreams }: Pick<ApiOptions, 'maxEventStreams'>): void {
    this.#o.maxEventStreams = maxEventStreams;
  }

  /** @throws EdgeError PORT_TAKEN */
  async start(): Promise<{ port: number; tlsPort?: number }> {
    const server = makeServer();
    server.setErrorHandler((error: FastifyError, request, reply) => this.#onError(error, request, reply));
    server.setNotFoundHandler((request, reply) =>
      send(reply, new EdgeError('NOT_FOUND', `${request.method} ${request.url.split('?')[0]?.slice(0, 200)}`)),
    );
    server.addHook('onRequest', async (request) => {
      const { role } = request.routeOptions.config;
      if (role) request.person = await this.#person(request, role);
    });
    const { onRequest } = this.#o;
    if (onRequest)
      server.addHook('onResponse', async ({ method, url, ip }, { statusCode, elapsedTime }) =>
        // Without the query, in which somebody may put what is to be kept secret.
        onRequest(
          `http: ${method} ${url.split('?')[0]?.slice(0, 200)} ${statusCode} ${elapsedTime.toFixed(1)} ms ${ip}`,
        ),
      );
    // ajv reads the text of query and path as the numbers that it says. A body has types of its own, which must not be
    // bent to fit: null would become 0 W.
    server.addHook('preValidation', async (request) => {
      const schema = request.routeOptions.schema?.body as TSchema | undefined;
      if (!schema) return;
      request.body ??= {}; // where nothing is needed, nothing need be sent
      const flaw = [...Value.Errors(schema, request.body)][0];
      if (!flaw) return;
      const why = flaw.keyword === 'boolean' ? 'is not one of its properties' : flaw.message;
      throw new EdgeError('REQUEST_INVALID', `body${flaw.instancePath} ${why}`);
    });
    server.addSchema(Problem);
    await server.register(swagger, {
      refResolver: { buildLocalReference: (json) => json.$id as string },
      transform: ({ schema, url, route }) => ({
        schema: {
          ...schema,
          ...roleOf(schema, route.config?.role),
          response: { ...(schema?.response as object), ...ERRORS_OF_ALL },
        },
        url,
      }),
      openapi: {
        openapi: '3.1.0',
        info: {
          title: 'Sejong Edge',
          version: this.#o.version,
          description:
            'Readings, receipts and devices of one gateway. Errors are RFC 9457 problem documents with a stable code. The console at / asks nothing else.',
        },
        tags: Object.entries(TAGS).map(([name, description]) => ({ name, description })),
        components: { securitySchemes: { token: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' } } },
      },
    });
    await server.register(swaggerUi, { routePrefix: '/docs', staticCSP: DOCS_POLICY });
    const parts = this.#parts;
    logRoutes(server, parts);
    await witnessRoutes(server, parts);
    entryRoutes(server, parts);
    deviceRoutes(server, parts);
    districtRoutes(server, parts);
    seriesRoutes(server, parts);
    profileRoutes(server, parts);
    successionRoutes(server, parts);
    forgetRoutes(server, parts);
    await checkRoutes(server, parts);
    certificateRoutes(server, parts);
    configRoutes(server, parts);
    statusRoutes(server, parts);
    vitalRoutes(server, parts);
    alarmRoutes(server, parts);
    peopleRoutes(server, parts);
    sessionRoutes(server, parts, this.#o.onTooManyFailures);
    careRoutes(server, parts);
    claimRoutes(server, parts, this.#o.onTooManyFailures);
    consoleRoutes(server, parts.console, this.#o.onError);
    const events = eventRoutes(server, parts, {
      maxStreams: () => this.#o.maxEventStreams,
      onFull: this.#o.onReadersFull,
      onError: this.#o.onError,
    });
    this.wake = events.wake;
    this.endStreams = events.end;
    this.#stopEvents = events.stop;
    server.get('/openapi.json', { schema: { hide: true } }, () => server.swagger());
    try {
      await server.listen({ host: this.#o.host, port: this.#o.port });
    } catch (error) {
      await server.close();
      throw new EdgeError(
        'PORT_TAKEN',
        `http ${this.#o.host}:${this.#o.port} (${(error as NodeJS.ErrnoException).code})`,
      );
    }
    this.#server = server as unknown as FastifyInstance;
    const { port } = server.server.address() as { port: number };
    const { certificate, ...tls } = this.#o.tls;
    if (!certificate) return { port };
    try {
      const requestTimeoutMs = REQUEST_TIMEOUT_MS;
      this.#https = await listenTls(server, { ...tls, certificate, requestTimeoutMs, onClientError });
    } catch (error) {
      await this.stop();
      throw error;
    }
    return { port, tlsPort: (this.#https.address() as { port: number }).port };
  }

  async stop(): Promise<void> {
    this.#stopEvents();
    this.#https?.close();
    this.#https?.closeAllConnections();
    this.#server?.server.closeAllConnections();
    await this.#server?.close();
  }

  async #person(request: FastifyRequest, role: Role): Promise<Person> {
    const token = /^Bearer (\S+)$/i.exec(request.headers.authorization ?? '')?.[1];
    if (!token) throw new EdgeError('TOKEN_INVALID', 'no Authorization: Bearer header');
    const { tokens, failures } = this.#parts;
    const digest = hash('sha256', token);
    if (!this.#good.has(digest) && failures.tooMany(request.ip)) {
      this.#o.onTooManyFailures();
      throw new EdgeError('LOGIN_THROTTLED', `from ${request.ip} (http.maxFailedLogins)`);
    }
    const person = await tokens.person(token).catch((error: unknown) => {
      this.#good.delete(digest);
      failures.one(request.ip);
      throw error;
    });
    if (this.#good.size >= MAX_GOOD) this.#good.clear();
    this.#good.add(digest);
    if (ROLES.indexOf(person.role) < ROLES.indexOf(role))
      throw new EdgeError('ROLE_MISSING', `${person.role} asks for what ${role} may`);
    return person;
  }

  #onError(error: FastifyError | EdgeError, request: FastifyRequest, reply: FastifyReply): FastifyReply {
    if (error instanceof EdgeError) return send(reply, error);
    if (error.validation)
      return send(reply, new EdgeError('REQUEST_INVALID', `${error.validationContext ?? 'request'}: ${error.message}`));
    if (error.statusCode && error.statusCode < 500)
      return send(reply, new EdgeError('REQUEST_INVALID', error.message), error.statusCode);
    this.#o.onError(`http: ${request.method} ${request.url.split('?')[0]}: ${error.stack ?? error.message}`);
    return send(reply, new EdgeError('INTERNAL', `${request.method} ${request.url.split('?')[0]}`));
  }
}

function send(reply: FastifyReply, error: EdgeError, status = error.status): FastifyReply {
  if (error.status === 401) void reply.header('www-authenticate', 'Bearer');
  return reply
    .code(status)
    .type('application/problem+json')
    .send({ ...problem(error), status });
}

/** What came is no request at all. */
function onClientError(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) return;
  const status = { HPE_HEADER_OVERFLOW: 431, ERR_HTTP_REQUEST_TIMEOUT: 408 }[error.code ?? ''] ?? 400;
  const body = JSON.stringify({ ...problem(new EdgeError('REQUEST_INVALID', error.message)), status });
  socket.write(
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nContent-Type: application/problem+json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  );
  socket.destroySoon();
}

const TAGS = {
  status: 'How the gateway does, what needs a person, and what happens as it happens',
  entries: 'Readings, and their proofs',
  devices: 'Enrolment and life of devices, and what they measured',
  log: 'The log itself, for whoever reads it without trust: open to all',
  certificates: 'Certificates of energy, credits, trades, RECs and evidence',
  checks: 'Vehicles at the gates',
  care: 'Who asked to be looked after',
  people: 'Signing in, tokens, and what operators did',
  witness: 'This gateway as a witness of other logs',
};

/** OpenAPI has no place for roles, so they stand in the text. */
const roleOf = (schema: { description?: string } | undefined, role: Role | undefined): { description?: string } =>
  role ? { description: [schema?.description, `Role: ${role}`].filter(Boolean).join('\n\n') } : {};

const ERRORS_OF_ALL = {
  default: {
    description: 'RFC 9457 problem document',
    content: { 'application/problem+json': { schema: { $ref: 'Problem#' } } },
  },
};

/** The security of a route, for OpenAPI and for the hook at once. */
export const needs = (role: Role) => ({ config: { role } });
export const bearer = [{ token: [] }];
