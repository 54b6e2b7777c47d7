/**
 * Server-sent events. The id of each event is how far its reader has come in each list, so that Last-Event-ID alone
 * is enough to go on where it stopped; no event is kept anywhere but in the tables it is read from.
 */
import type { ServerResponse } from 'node:http';
import Type from 'typebox';
import { EdgeError, errorLine } from '../errors.ts';
import type { Person } from '../tokens.ts';
import { describeAlarm } from './alarms.ts';
import { describeCheck } from './check-views.ts';
import type { CertificatePlace } from './credits-parts.ts';
import { describeEntry, describeQuarantined } from './describe.ts';
import type { ApiParts } from './parts.ts';
import { bearer, needs, type Server } from './server.ts';

/**
 * The next entry index, checkpoint size, anchor id, quarantine id and entry index of a check to tell of; and the last
 * change of a certificate that was told.
 */
type Place = {
  entry: number;
  checkpoint: number;
  anchor: number;
  quarantine: number;
  check: number;
  certificate: CertificatePlace;
  /** The next change of an alarm. */
  alarm: number;
};
const COUNTED = ['entry', 'checkpoint', 'anchor', 'quarantine', 'check'] as const;
const KINDS = [...COUNTED, 'certificate', 'alarm'] as const;

const PAGE = 100;
/** So that proxies keep the connection, and a reader that is gone is noticed. */
const PING_MS = 15_000;

const formatPlace = (p: Place): string => {
  const { madeMs, block, logIndex } = p.certificate;
  return `${COUNTED.map((k) => `${k}:${p[k]}`).join(',')},certificate:${madeMs}-${block}-${logIndex},alarm:${p.alarm}`;
};

/** @param else_ where one begins who knew of no checks, certificates or alarms yet */
function parsePlace(text: string, else_: Pick<Place, 'check' | 'certificate' | 'alarm'>): Place | undefined {
  const m =
    /^entry:(\d{1,15}),checkpoint:(\d{1,15}),anchor:(\d{1,15}),quarantine:(\d{1,15})(?:,check:(\d{1,15}))?(?:,certificate:(\d{1,15})-(\d{1,15})-(\d{1,15}))?(?:,alarm:(\d{1,15}))?$/.exec(
      text,
    );
  if (!m) return undefined;
  const [entry, checkpoint, anchor, quarantine] = m.slice(1, 5).map(Number) as [number, number, number, number];
  return {
    ...{ entry, checkpoint, anchor, quarantine },
    check: m[5] === undefined ? else_.check : Number(m[5]),
    certificate:
      m[6] === undefined ? else_.certificate : { madeMs: Number(m[6]), block: Number(m[7]), logIndex: Number(m[8]) },
    // Of a database that was lost since, numbers were higher: then one goes on with what comes next.
    alarm: m[9] === undefined ? else_.alarm : Math.min(Number(m[9]), else_.alarm),
  };
}

export function eventRoutes(
  server: Server,
  parts: ApiParts,
  { maxStreams, onFull, onError }: { maxStreams: () => number; onFull: () => void; onError: (line: string) => void },
): { wake: () => void; end: (where: (person: Person) => boolean) => void; stop: () => void } {
  const streams = new Map<Stream, Person>();
  const ping = setInterval(() => {
    for (const stream of streams.keys()) stream.ping();
  }, PING_MS);
  ping.unref();

  server.get(
    '/events',
    {
      ...needs('viewer'),
      exposeHeadRoute: false, // its answer would never end
      schema: {
        summary: 'Server-sent events: entry, checkpoint, anchor, quarantine, check, certificate, alarm',
        description:
          'Begins with what comes next; resumes from Last-Event-ID (the header, or else the parameter from). kinds narrows it.',
        tags: ['status'],
        security: bearer,
        querystring: Type.Object(
          {
            from: Type.Optional(Type.String({ maxLength: 300 })),
            kinds: Type.Optional(
              Type.String({
                pattern: `^(${KINDS.join('|')})(,(${KINDS.join('|')}))*$`,
                maxLength: 100,
              }),
            ),
          },
          { additionalProperties: false },
        ),
        response: { 200: { content: { 'text/event-stream': { schema: Type.String() } } } },
      },
    },
    (request, reply) => {
      if (streams.size >= maxStreams()) {
        onFull();
        throw new EdgeError('READERS_FULL', `${maxStreams()} read /events now`);
      }
      const header = request.headers['last-event-id'];
      // A browser that connects again has both: the address that it was given, and how far it has come since.
      const from = (Array.isArray(header) ? header[0] : header) || request.query.from;
      const place = !from
        ? now(parts)
        : parsePlace(from, { check: nextCheck(parts), certificate: lastCertificate(parts), alarm: nextAlarm(parts) });
      if (!place) throw new EdgeError('REQUEST_INVALID', `Last-Event-ID ${JSON.stringify(from)} is none of ours`);
      reply.hijack();
      const out = reply.raw;
      out.writeHead(200, {
        'content-type': 'text/event-stream',
        'cache-control': 'no-store',
        'x-accel-buffering': 'no',
      });
      out.flushHeaders(); // the reader is to know now that it is connected, and not with the first event
      const stream = new Stream(out, parts, place, new Set(request.query.kinds?.split(',') ?? KINDS), onError, !!from);
      streams.set(stream, request.person as Person);
      out.on('close', () => streams.delete(stream));
      out.on('error', () => streams.delete(stream));
      stream.wake();
    },
  );
  return {
    wake: () => {
      for (const stream of streams.keys()) stream.wake();
    },
    end: (where) => {
      for (const [stream, person] of streams) if (where(person)) stream.end();
    },
    stop: () => {
      clearInterval(ping);
      for (const stream of streams.keys()) stream.end();
    },
  };
}

const nextCheck = ({ checks }: ApiParts): number => (checks.rows.newest ?? -1) + 1;

const lastCertificate = ({ credits }: ApiParts): CertificatePlace =>
  credits?.newest() ?? { madeMs: 0, block: 0, logIndex: 0 };

const nextAlarm = ({ alarms }: ApiParts): number => alarms.rows.newest().change + 1;

const now = (parts: ApiParts): Place => ({
  entry: parts.log.size,
  checkpoint: (parts.log.latest?.size ?? 0) + 1,
  anchor: (parts.anchors(1, Number.MAX_SAFE_INTEGER)[0]?.id ?? 0) + 1,
  quarantine: (parts.quarantine.list(1, Number.MAX_SAFE_INTEGER)[0]?.id ?? 0) + 1,
  check: nextCheck(parts),
  certificate: lastCertificate(parts),
  alarm: nextAlarm(parts),
});

/** One reader. It reads a page only when the reader has taken the one before, so a slow one costs no memory. */
class Stream {
  readonly #out: ServerResponse;
  readonly #parts: ApiParts;
  readonly #place: Place;
  readonly #kinds: ReadonlySet<string>;
  readonly #onError: (line: string) => void;
  /** Cosignatures on the checkpoint that was told last. */
  #witnessed: number;
  #working = false;
  #again = false;

  constructor(
    out: ServerResponse,
    parts: ApiParts,
    place: Place,
    kinds: ReadonlySet<string>,
    onError: (line: string) => void,
    resumed: boolean,
  ) {
    this.#out = out;
    this.#parts = parts;
    this.#place = place;
    this.#kinds = kinds;
    this.#onError = onError;
    this.#witnessed = resumed ? 0 : parts.witnesses.cosigned(place.checkpoint - 1);
  }

  wake(): void {
    this.#again = true;
    if (this.#working) return;
    this.#working = true;
    setImmediate(() => {
      this.#work().catch((error) => {
        this.#onError(`http: /events: ${errorLine(error)}`);
        this.#out.destroy(); // it comes again, from where it was
      });
    });
  }

  async #work(): Promise<void> {
    while (this.#again && !this.#out.writableEnded && !this.#out.destroyed) {
      this.#again = false;
      if (this.#tellPage()) this.#again = true;
      // Others have their turn between pages, and a reader whose buffer is full is waited for.
      if (this.#out.writableNeedDrain)
        await new Promise<void>((resolve) => {
          const goOn = (): void => {
            this.#out.off('drain', goOn).off('close', goOn);
            resolve();
          };
          this.#out.on('drain', goOn).on('close', goOn);
        });
      else await new Promise((resolve) => setImmediate(resolve));
    }
    this.#working = false;
  }

  /** Ends when all is told, after a page, or as soon as the reader's buffer is full. True when there may be more. */
  #tellPage(): boolean {
    const { log, entries, devices, quarantine } = this.#parts;
    const place = this.#place;
    const latest = log.latest;
    const witnessed = latest ? this.#parts.witnesses.cosigned(latest.size) : 0;
    if (
      latest &&
      (latest.size >= place.checkpoint || (latest.size === place.checkpoint - 1 && witnessed > this.#witnessed))
    ) {
      // Only the newest: it covers the ones before. It is told again when it was cosigned since.
      place.checkpoint = latest.size + 1;
      this.#witnessed = witnessed;
      this.#tell('checkpoint', {
        size: latest.size,
        root: Buffer.from(latest.root).toString('base64'),
        madeMs: latest.madeMs,
        witnessed,
      });
    }
    for (const anchor of this.#upward('anchor', this.#parts.anchors)) {
      if (!['mined', 'confirmed'].includes(anchor.status)) continue;
      place.anchor = anchor.id + 1;
      if (!this.#tell('anchor', anchor)) return true;
    }
    for (const row of this.#upward('quarantine', (limit, before) => quarantine.list(limit, before))) {
      place.quarantine = row.id + 1;
      if (!this.#tell('quarantine', describeQuarantined(row))) return true;
    }
    // Their ids are far apart, so they are not looked for by id.
    for (const row of this.#kinds.has('check') ? this.#parts.checks.rows.from(place.check, PAGE) : []) {
      place.check = row.idx + 1;
      if (!this.#tell('check', describeCheck(row))) return true;
    }
    const { credits } = this.#parts;
    const news = this.#kinds.has('certificate') ? (credits?.news(place.certificate, PAGE) ?? []) : [];
    for (const { row, place: at } of news) {
      place.certificate = at;
      if (!this.#tell('certificate', row)) return true;
    }
    if (news.length > 0) return true;
    const changed = this.#kinds.has('alarm') ? this.#parts.alarms.rows.changes(place.alarm, PAGE) : [];
    for (const row of changed) {
      place.alarm = row.change + 1;
      if (!this.#tell('alarm', describeAlarm(row))) return true;
    }
    if (changed.length === PAGE) return true;
    if (!this.#kinds.has('entry')) {
      place.entry = log.size;
      return false;
    }
    const rows = entries.page(place.entry, PAGE);
    for (const row of rows) {
      place.entry = row.idx + 1;
      if (!this.#tell('entry', describeEntry(row, devices, false))) return true;
    }
    return rows.length === PAGE;
  }

  /** Rows from the reader's place on, oldest first, of a list that is read from the newest down. */
  *#upward<Row extends { id: number }>(
    kind: 'anchor' | 'quarantine',
    list: (limit: number, before: number) => Row[],
  ): Iterable<Row> {
    const newest = list(1, Number.MAX_SAFE_INTEGER)[0]?.id ?? 0;
    if (!this.#kinds.has(kind)) this.#place[kind] = newest + 1;
    for (let first = this.#place[kind]; first <= newest; first += PAGE)
      yield* list(PAGE, first + PAGE)
        .filter(({ id }) => id >= first)
        .reverse();
  }

  /** False when the reader must read first. */
  #tell(kind: (typeof KINDS)[number], data: object): boolean {
    if (this.#kinds.has(kind))
      this.#out.write(`id: ${formatPlace(this.#place)}\nevent: ${kind}\ndata: ${JSON.stringify(data)}\n\n`);
    return !this.#out.writableNeedDrain;
  }

  ping(): void {
    if (!this.#out.writableNeedDrain) this.#out.write(': ping\n\n');
  }

  end(): void {
    this.#out.end();
  }
}
