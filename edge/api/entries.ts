/** Readings, and their receipts. */
import Type from 'typebox';
import { EdgeError } from '../errors.ts';
import { attachReceipt } from '../log/cose-receipt.ts';
import type { StoredCheckpoint } from '../log/log.ts';
import { encodeJsonOpening, encodeJsonReceipt, encodeTlogProof, type Receipt } from '../log/receipt.ts';
import { describeEntry } from './describe.ts';
import type { ApiParts } from './parts.ts';
import { bearer, needs, type Server } from './server.ts';
import { inSuccession } from './succession.ts';
import { CallView, Did, EntryView, Index, OpeningView, ReceiptView, Sub } from './views.ts';

export const Time = Type.String({
  format: 'date-time',
  maxLength: 40,
  description: 'RFC 3339, by the time of receipt',
});

/** The format lets leap seconds through, which Date does not know. */
export function parseTime(text: string): number {
  const ms = Date.parse(text);
  if (Number.isNaN(ms)) throw new EdgeError('REQUEST_INVALID', `${text} is no time`);
  return ms;
}

export function entryRoutes(server: Server, parts: ApiParts): void {
  const { entries, devices, log, late } = parts;
  const existing = (index: number) => {
    const row = entries.get(index);
    if (!row) throw new EdgeError('NOT_FOUND', `entry ${index}: the log has ${log.size}`);
    return row;
  };
  const kept = (index: number) => {
    const row = existing(index);
    if (row.leaf) throw new EdgeError('ENTRY_PRUNED', `entry ${index}; the minimum index is ${log.minimumIndex}`);
    return row;
  };
  const readable = (index: number) => {
    const row = kept(index);
    if (row.forgotten) throw new EdgeError('ENTRY_FORGOTTEN', `entry ${index}`);
    return row;
  };
  /** Device by device: each one's in the order of its counter. */
  const pageOfPoint = (sub: string, after: number, fromMs: number, toMs: number, limit: number) => {
    const line = inSuccession(devices.list(), sub);
    const at = after < 0 ? 0 : line.findIndex(({ id }) => id === entries.get(after)?.device);
    if (at < 0) throw new EdgeError('REQUEST_INVALID', `after: entry ${after} is not of ${sub}`);
    const rows: ReturnType<typeof entries.page> = [];
    for (const [i, { id }] of line.slice(at).entries())
      if (rows.length < limit)
        rows.push(...entries.pageOfDevice(id, i === 0 ? after : -1, fromMs, toMs, limit - rows.length));
    return rows;
  };
  server.get(
    '/entries',
    {
      ...needs('viewer'),
      schema: {
        summary: 'Readings, decoded',
        description:
          "In the order of the log; with device in the order of the device's counter; with sub those of all devices of that metering point, one after the other as they took over; with from or to alone by time of receipt.",
        tags: ['entries'],
        security: bearer,
        querystring: Type.Object(
          {
            device: Type.Optional(Did),
            sub: Type.Optional(Sub),
            from: Type.Optional(Time),
            to: Type.Optional(Time),
            after: Type.Optional(
              Type.Integer({
                minimum: 0,
                maximum: Number.MAX_SAFE_INTEGER,
                description: 'Go on after the entry with this index',
              }),
            ),
            newest: Type.Boolean({
              default: false,
              description: 'The newest first, and after goes down; not with sub, from or to',
            }),
            limit: Type.Integer({ minimum: 1, maximum: 1000, default: 100 }),
          },
          { additionalProperties: false },
        ),
        response: {
          200: Type.Object({
            entries: Type.Array(EntryView),
            size: Type.Integer({ description: 'Entries in the log' }),
          }),
        },
      },
    },
    (request) => {
      const { device, sub, from, to, after = -1, newest, limit } = request.query;
      const fromMs = from === undefined ? 0 : parseTime(from);
      const toMs = to === undefined ? Number.MAX_SAFE_INTEGER : parseTime(to);
      let rows: ReturnType<typeof entries.page>;
      if (device !== undefined && sub !== undefined) throw new EdgeError('REQUEST_INVALID', 'device or sub, not both');
      if (newest && [sub, from, to].some((other) => other !== undefined))
        throw new EdgeError('REQUEST_INVALID', 'newest goes with device alone, or with none');
      if (sub !== undefined) rows = pageOfPoint(sub, after, fromMs, toMs, limit);
      else if (device !== undefined) {
        const found = devices.get(device);
        if (!found) throw new EdgeError('DEVICE_UNKNOWN', device);
        // The place to go on from is one in this order, or entries would come twice or not at all.
        if (after >= 0 && entries.get(after)?.device !== found.id)
          throw new EdgeError('REQUEST_INVALID', `after: entry ${after} is not of ${device}`);
        rows = newest
          ? entries.latestOfDevice(found.id, limit, after)
          : entries.pageOfDevice(found.id, after, fromMs, toMs, limit);
      } else if (from !== undefined || to !== undefined) {
        if (after >= 0) existing(after);
        rows = entries.pageByTime(after, fromMs, toMs, limit);
      } else rows = newest ? entries.latest(after < 0 ? log.size : after, limit) : entries.page(after + 1, limit);
      return { entries: rows.map((row) => describeEntry(row, devices, true, late.get(row.idx))), size: log.size };
    },
  );

  const params = Type.Object({ index: Index });
  server.get(
    '/entries/:index',
    {
      ...needs('viewer'),
      schema: { summary: 'One reading', tags: ['entries'], security: bearer, params, response: { 200: EntryView } },
    },
    ({ params: { index } }) => describeEntry(readable(index), devices, true, late.get(index)),
  );

  server.get(
    '/entries/:index/opening',
    {
      ...needs('viewer'),
      schema: {
        summary: 'What a sealed entry is over',
        description:
          'The salt, and the envelope as the device signed it. With the receipt of the entry it proves the reading to whom it is shown (sejong-edge verify --opening).',
        tags: ['entries'],
        security: bearer,
        params,
        response: { 200: OpeningView },
      },
    },
    (request) => {
      const { index } = request.params;
      const { salt, envelope } = readable(index);
      if (!salt) throw new EdgeError('NOT_FOUND', `entry ${index} is not sealed`);
      return encodeJsonOpening(index, { salt, envelope });
    },
  );

  // Open, as the log is: all of it could be made from tiles and bundles.
  server.get(
    '/entries/:index/receipt',
    {
      schema: {
        summary: "An entry's proof of inclusion",
        description:
          'Of a sealed entry it proves the hash envelope, and what that is over is not in it. Under the smallest anchored checkpoint that covers it, else under the newest checkpoint. Formats: json; tlog-proof (C2SP); cose, the envelope with a COSE receipt (RFC 9942) in its unprotected header; calldata, a call of Anchors.verifyEntry, of anchored entries only. All hold the entry itself.',
        tags: ['entries'],
        params,
        querystring: Type.Object(
          { format: Type.Enum(['json', 'tlog-proof', 'cose', 'calldata'], { default: 'json' }) },
          { additionalProperties: false },
        ),
        response: {
          200: {
            content: {
              'application/json': { schema: Type.Union([ReceiptView, CallView]) },
              'text/plain': { schema: Type.String() },
              'application/cose': { schema: Type.Unsafe<Buffer>({ type: 'string', format: 'binary' }) },
            },
          },
        },
      },
    },
    async (request, reply) => {
      const { index } = request.params;
      const { format } = request.query;
      const { entry } = kept(index);
      const anchored = parts.anchorCovering(index);
      const found = [anchored && log.checkpointOfSize(anchored.size), log.latest].filter((c) => c && c.size > index);
      const attached = (name: string) => `attachment; filename="entry-${index}.${name}"`;
      if (format === 'cose') {
        const checkpoint = found.find((c): c is StoredCheckpoint & { receipt: Uint8Array } => c?.receipt != null);
        if (!checkpoint) throw new EdgeError('NOT_IN_CHECKPOINT', `entry ${index}`);
        return reply
          .type('application/cose; cose-type="cose-sign1"') // RFC 9052 section 2
          .header('content-disposition', attached('cose'))
          .send(Buffer.from(attachReceipt(entry, log.coseReceipt(index, checkpoint))));
      }
      const [checkpoint] = found;
      if (!checkpoint) throw new EdgeError('NOT_IN_CHECKPOINT', `entry ${index}`);
      const receipt: Receipt = {
        index,
        entry,
        path: log.inclusion(index, checkpoint.size),
        checkpoint: checkpoint.note,
        ...(anchored?.size === checkpoint.size ? { anchor: anchored.hint } : {}),
      };
      if (format === 'calldata') {
        const { anchor } = receipt;
        if (!anchor) throw new EdgeError('NOT_ANCHORED', `entry ${index}`);
        return reply.type('application/json').send(parts.entryCall(checkpoint.size, { ...receipt, anchor }));
      }
      if (format === 'tlog-proof')
        return reply
          .type('text/plain; charset=utf-8')
          .header('content-disposition', attached('tlog-proof'))
          .send(encodeTlogProof(receipt));
      return reply.type('application/json').send(encodeJsonReceipt(receipt));
    },
  );
}
