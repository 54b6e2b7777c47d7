/** Destroying what is known of a device: the key of its contents first, what lay under that key after. */
import { isForgotten, PRUNED_BOX } from './contents.ts';
import { type SqlStatement, type Store, setMeta } from './store.ts';

/** There while boxes may be left that nobody can open any more: another value each time that something is forgotten. */
const FORGETTING = 'forgetting';
/** Entries looked through at once: some milliseconds. */
const WINDOW = 10_000;

const LIST = '(SELECT value FROM json_each(?))';

/**
 * What there is to destroy. `keys` counts keys of contents, of which a device mostly has one or none; `open`: there are
 * entries of it that are not sealed.
 */
export function knownOf(store: Store, devices: readonly number[], dids: readonly string[]) {
  const keys = store
    .all<{ secret: Uint8Array }>(`SELECT secret FROM content_keys WHERE about IN ${LIST}`, JSON.stringify(devices))
    .filter(({ secret }) => !isForgotten(secret)).length;
  const quarantined =
    store.get<{ n: number }>(`SELECT count(*) AS n FROM quarantine WHERE did IN ${LIST}`, JSON.stringify(dids))?.n ?? 0;
  const open = devices.some(
    (device) =>
      store.get(
        `SELECT 1 FROM entries LEFT JOIN contents ON contents.idx = entries.idx
         WHERE device = ? AND contents.idx IS NULL LIMIT 1`,
        device,
      ) !== undefined,
  );
  return { keys, quarantined, open };
}

/**
 * For one transaction, after which nothing can be read any more. Each is overwritten in place, by as many bytes, before
 * anything moves: see contents.ts.
 */
export const destroy = (devices: readonly number[], dids: readonly string[], token: string): SqlStatement[] => [
  {
    sql: `UPDATE content_keys SET secret = zeroblob(length(secret)) WHERE about IN ${LIST}`,
    params: [JSON.stringify(devices)],
  },
  {
    sql: `UPDATE quarantine SET bytes = zeroblob(length(bytes)), detail = substr(hex(zeroblob(length(detail))), 1, length(detail))
      WHERE did IN ${LIST}`,
    params: [JSON.stringify(dids)],
  },
  { sql: `DELETE FROM quarantine WHERE did IN ${LIST}`, params: [JSON.stringify(dids)] },
  setMeta(FORGETTING, token),
];

/** The token of what was forgotten last, while there is something to tidy up. */
export const forgetting = (store: Store): string | undefined => store.meta(FORGETTING);

/**
 * One step of tidying up: empties the boxes without a key among some entries.
 * @returns how many envelopes they held, and the first entry that was not looked at
 */
export async function emptyBoxes(store: Store, from: number): Promise<{ emptied: number; next: number }> {
  const next = from + WINDOW;
  const rows = store.all<{ idx: number; bytes: number }>(
    `SELECT idx, length(box) AS bytes FROM contents JOIN content_keys ON content_keys.id = contents.key
     WHERE idx >= ? AND idx < ? AND secret = zeroblob(length(secret)) AND (length(box) > 0 OR digest IS NOT NULL)`,
    from,
    next,
  );
  if (rows.length > 0)
    await store.write({
      name: 'forget',
      statements: [
        {
          sql: `UPDATE contents SET box = x'', digest = NULL WHERE idx IN ${LIST}`,
          params: [JSON.stringify(rows.map(({ idx }) => idx))],
        },
      ],
    });
  return { emptied: rows.filter(({ bytes }) => bytes > PRUNED_BOX).length, next };
}

/**
 * What was overwritten leaves the write-ahead log. All is done then, unless more was forgotten since `token`.
 * @throws EdgeError STORE_UNAVAILABLE while another process reads
 */
export async function leaveNoTrace(store: Store, token: string): Promise<void> {
  await store.write({ name: 'forget', statements: [], emptyLog: true });
  await store.write({
    name: 'forget',
    statements: [{ sql: 'DELETE FROM meta WHERE key = ? AND value = ?', params: [FORGETTING, token] }],
  });
}
