/** A device's newest entries, each with the way to its proof. */
import type { EntryView } from '../../api/views.ts';
import { download } from '../download.ts';
import { DASH, number } from '../format.ts';
import { exact, glance, nameOf } from '../names.ts';
import { useDeed, useQuery } from '../query.ts';
import { href } from '../router.ts';
import { Empty, Panel, Problem, Table, Time } from '../ui/index.ts';
import { vitals } from '../vitals.ts';
import { useWords } from '../words.ts';
import table from './device.words.ts';

const EVERY_MS = 4_000;
const SHOWN = 12;

export function DeviceEntries({ did }: { did: string }) {
  const w = useWords(table);
  const { data, error } = useQuery<{ entries: EntryView[] }>(
    `/entries?device=${encodeURIComponent(did)}&newest=true&limit=${SHOWN}`,
    EVERY_MS,
  );
  const deed = useDeed();
  const covered = vitals.value.at(-1)?.checkpointSize ?? 0;
  return (
    <Panel title={w.newest} hint={w.newestHint} flush>
      <Problem error={error ?? deed.error} />
      <Table
        caption={w.newest}
        rows={data?.entries ?? []}
        rowKey={(e) => e.index}
        empty={data && <Empty title={w.noEntries} />}
        columns={[
          {
            key: 'index',
            label: w.entry,
            cell: (e) => (
              <a class="num" href={href('entry', e.index)}>
                {number(e.index)}
              </a>
            ),
          },
          {
            key: 'reading',
            label: w.reading,
            cell: (e) => <Readings entry={e} />,
          },
          { key: 'received', label: w.received, rank: 2, cell: (e) => <Time ms={e.receivedMs} /> },
          {
            key: 'proof',
            label: w.proof,
            align: 'end',
            cell: (e) =>
              e.index >= covered ? (
                <small class="muted">{w.waits}</small>
              ) : (
                <button
                  type="button"
                  class="button small"
                  disabled={deed.busy}
                  aria-label={w.downloadOf(String(e.index))}
                  onClick={() =>
                    void deed.run(() => download(`/entries/${e.index}/receipt?format=json`, `receipt-${e.index}.json`))
                  }
                >
                  {w.download}
                </button>
              ),
          },
        ]}
      />
    </Panel>
  );
}

function Readings({ entry }: { entry: EntryView }) {
  const w = useWords(table);
  if (entry.pruned || entry.forgotten) return <span class="muted">{entry.pruned ? w.pruned : w.forgotten}</span>;
  const told = entry.records.flatMap((r) => {
    const value = r.v ?? r.vs ?? r.vb;
    return value === undefined ? [] : [{ n: r.n, u: r.u, value }];
  });
  if (told.length === 0) return <>{DASH}</>;
  return (
    <span class="readings">
      {told.slice(0, 3).map(({ n, u, value }) => (
        <span class="told" key={n} title={`${n}: ${exact(value, u)}`}>
          <span class="num">{u === 'Wh' ? exact(value, u) : glance(value, u)}</span> <small>{nameOf(n)}</small>
        </span>
      ))}
      {told.length > 3 && <small class="muted">+{told.length - 3}</small>}
    </span>
  );
}
