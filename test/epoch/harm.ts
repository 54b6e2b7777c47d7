/** As after a power cut that harmed a page: the database says it was not closed, and one leaf of it is not readable. */
import { readFileSync, writeFileSync } from 'node:fs';
import Database from 'better-sqlite3';

export function harm(path: string, before = ''): void {
  const db = new Database(path);
  db.exec(`UPDATE meta SET value = '0' WHERE key = 'clean';${before}`);
  const page = db
    .prepare("SELECT pageno FROM dbstat WHERE name = 'entries_received' AND pagetype = 'leaf' LIMIT 1")
    .pluck()
    .get() as number;
  db.close();
  const bytes = readFileSync(path);
  bytes.fill(0xff, (page - 1) * 4096, page * 4096);
  writeFileSync(path, bytes);
}
