/** Taking the payloads of entries away. Their rows, counters and leaf hashes stay. */
import { pruneContents } from './contents.ts';
import type { SqlStatement } from './store.ts';

/**
 * The statements for one transaction: the entries `indexes` of [first, end) lose their envelopes.
 *
 * SQLite gives pages back only when rows are deleted: one that only shrinks leaves its page as it is, with room in
 * its middle that no later index ever asks for. So all rows of the range are taken out and put back, which fills the
 * pages anew and frees the rest of them; with what sealed ones are over likewise. `temp.moving` and
 * `temp.moving_contents` belong to the writer (writer-thread.ts).
 */
export const pruneEntries = (first: number, end: number, indexes: readonly number[]): SqlStatement[] => [
  ...pruneContents(first, end, indexes),
  { sql: 'INSERT INTO temp.moving SELECT * FROM entries WHERE idx >= ? AND idx < ?', params: [first, end] },
  {
    sql: "UPDATE temp.moving SET envelope = x'' WHERE idx IN (SELECT value FROM json_each(?))",
    params: [JSON.stringify(indexes)],
  },
  { sql: 'DELETE FROM entries WHERE idx >= ? AND idx < ?', params: [first, end] },
  { sql: 'INSERT INTO entries SELECT * FROM temp.moving ORDER BY idx', params: [] },
  { sql: 'DELETE FROM temp.moving', params: [] },
];
