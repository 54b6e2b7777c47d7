/** Quarantine: what was refused and why, its bytes as far as they can be read, and what an operator does about them. */
import { useCallback, useEffect, useMemo, useState } from 'preact/hooks';
import type { Static } from 'typebox';
import type { QuarantineView } from '../../api/views.ts';
import { ApiError, get, post } from '../api.ts';
import { save } from '../download.ts';
import { errorWords } from '../error-words.ts';
import { number, shortDid, bytes as sizeOf } from '../format.ts';
import { useCaughtUp, useSoon } from '../fresh.ts';
import { useEvents } from '../live.ts';
import { useDeed, useQuery } from '../query.ts';
import { href } from '../router.ts';
import { may } from '../session.ts';
import {
  Badge,
  type Column,
  Dialog,
  Empty,
  Fact,
  Facts,
  Field,
  Id,
  Loading,
  Page,
  Panel,
  Problem,
  type State,
  Table,
  Time,
} from '../ui/index.ts';
import { lang, useWords } from '../words.ts';
import words from './quarantine.words.ts';
import { type Decoded, decodeRefused, dump, linesOf, type Facts as Said } from './quarantine-decode.ts';
import './common.css';
import './quarantine.css';

type Row = Static<typeof QuarantineView>;
type Listed = { quarantine: Row[]; held: number };
/** Each may be 64 KiB. */
const PAGE = 50;
const MOST = 2000;
/** One who sends nonsense sends much of it. */
const SOON_MS = 1_000;
const DUMPED = 4096;

/** What may be an attack is not what may be a mistake. */
const stateOf = (code: string): State =>
  ['REPLAY', 'EQUIVOCATION', 'SIGNATURE_INVALID', 'ISSUER_MISMATCH'].includes(code) ? 'bad' : 'warn';
const titleOf = (code: string): string => errorWords(code, lang.value)?.title ?? code;
const bytesOf = (row: Row): Uint8Array<ArrayBuffer> => Uint8Array.from(atob(row.bytes), (c) => c.charCodeAt(0));

export default function Quarantine() {
  const w = useWords(words);
  const { rows, held, error, loading, reload, older, gone } = useRows();
  const [open, setOpen] = useState<number>();
  const [find, setFind] = useState('');
  const [done, setDone] = useState<{ index: number } | 'dropped'>();
  const wanted = find.trim().toLowerCase();
  const shown = useMemo(
    () => rows?.filter((r) => `${r.did} ${r.code} ${r.topic} ${titleOf(r.code)}`.toLowerCase().includes(wanted)),
    [rows, wanted],
  );
  const columns: Column<Row>[] = [
    {
      key: 'last',
      label: w.last,
      width: '8rem',
      cell: (r) => (
        <button type="button" class="link" onClick={() => setOpen(r.id)}>
          <Time ms={r.lastMs} />
        </button>
      ),
      sort: (r) => r.lastMs,
    },
    {
      key: 'reason',
      label: w.reason,
      cell: (r) => (
        <span title={r.detail}>
          <Badge state={stateOf(r.code)}>{r.code}</Badge> <span class="rank-2">{titleOf(r.code)}</span>
          <small class="only-narrow">{titleOf(r.code)}</small>
        </span>
      ),
      sort: (r) => r.code,
    },
    {
      key: 'device',
      label: w.device,
      width: '10rem',
      rank: 2,
      cell: (r) => <code title={r.did}>{shortDid(r.did)}</code>,
      sort: (r) => r.did,
    },
    {
      key: 'times',
      label: w.times,
      width: '5rem',
      align: 'end',
      rank: 2,
      cell: (r) => number(r.times),
      sort: (r) => r.times,
    },
    { key: 'size', label: w.size, width: '6rem', align: 'end', rank: 3, cell: (r) => sizeOf(byteLength(r)) },
  ];
  const row = rows?.find(({ id }) => id === open);
  return (
    <Page title={w.title} lead={w.lead}>
      <Problem error={error} retry={reload} />
      {loading && <Loading />}
      {done && (
        <p class="note" role="status">
          {done === 'dropped' ? (
            w.dropped
          ) : (
            <>
              {w.released(number(done.index))} <a href={href('entry', done.index)}>{w.open}</a>
            </>
          )}
        </p>
      )}
      {rows && (
        <Panel
          title={w.list}
          hint={w.held(number(held))}
          flush
          actions={
            rows.length > 0 && (
              <input
                class="input find"
                type="search"
                aria-label={w.find}
                placeholder={w.findShort}
                value={find}
                onInput={(e) => setFind(e.currentTarget.value)}
              />
            )
          }
        >
          <Table
            caption={w.list}
            rows={shown ?? []}
            columns={columns}
            rowKey={(r) => r.id}
            empty={
              rows.length === 0 ? (
                <Empty title={w.none}>{w.noneWhy}</Empty>
              ) : (
                <Empty title={w.nothing}>{w.nothingWhy}</Empty>
              )
            }
          />
          {rows.length < Math.min(held, MOST) && (
            <p class="panel-foot">
              <button type="button" class="button small" onClick={() => void older()}>
                {w.older}
              </button>
            </p>
          )}
        </Panel>
      )}
      <Look
        row={row}
        onClose={() => setOpen(undefined)}
        onGone={(what) => {
          if (row) gone(row.id);
          setOpen(undefined);
          setDone(what);
        }}
        onStays={reload}
      />
    </Page>
  );
}

const byteLength = ({ bytes }: Row): number => (bytes.length / 4) * 3 - (bytes.match(/=*$/)?.[0].length ?? 0);

function useRows() {
  const { data, error, loading, reload } = useQuery<Listed>(`/quarantine?limit=${PAGE}`, 60_000);
  const [more, setMore] = useState<Row[]>([]);
  const [away, setAway] = useState<ReadonlySet<number>>(new Set());
  const [failed, setFailed] = useState<ApiError>();
  useEvents(['quarantine'], useSoon(reload, SOON_MS));
  useCaughtUp(reload);
  const rows = useMemo(() => {
    if (!data) return undefined;
    const all = new Map([...more, ...data.quarantine].map((row) => [row.id, row]));
    return [...all.values()].filter(({ id }) => !away.has(id)).sort((a, b) => b.id - a.id);
  }, [data, more, away]);
  const last = rows?.at(-1)?.id;
  return {
    ...{ rows, error: error ?? failed, loading, reload },
    held: Math.max(0, (data?.held ?? 0) - (data?.quarantine.filter(({ id }) => away.has(id)).length ?? 0)),
    older: useCallback(async () => {
      try {
        const next = await get<Listed>(`/quarantine?limit=${PAGE}&before=${last}`);
        setMore((list) => [...list, ...next.quarantine].slice(0, MOST));
      } catch (wrong) {
        if (wrong instanceof ApiError) setFailed(wrong);
      }
    }, [last]),
    gone: useCallback(
      (id: number) => {
        setAway((set) => new Set(set).add(id));
        reload();
      },
      [reload],
    ),
  };
}

/** One of them: why, what it says, its bytes; and what can be done. */
function Look(props: {
  row: Row | undefined;
  onClose: () => void;
  onGone: (what: { index: number } | 'dropped') => void;
  onStays: () => void;
}) {
  const w = useWords(words);
  const { row, onClose } = props;
  const [doing, setDoing] = useState<'release' | 'drop'>();
  const bytes = useMemo(() => row && bytesOf(row), [row]);
  const decoded = useMemo(() => bytes && decodeRefused(bytes), [bytes]);
  const known = row && errorWords(row.code, lang.value);
  useEffect(() => {
    if (!row) setDoing(undefined); // somebody else may have been faster
  }, [row]);
  if (row && doing)
    return (
      <Decide
        key={doing}
        what={doing}
        row={row}
        onClose={() => setDoing(undefined)}
        onGone={(what) => {
          setDoing(undefined);
          props.onGone(what);
        }}
        onStays={props.onStays}
      />
    );
  return (
    <Dialog open={row !== undefined} title={row ? w.one(number(row.id)) : ''} onClose={onClose} wide>
      {row && bytes && decoded && (
        <>
          <div>
            <Badge state={stateOf(row.code)}>{row.code}</Badge>
            <p class="why-title">{known?.title ?? row.code}</p>
            <p class="problem-detail">{row.detail}</p>
            {known && (
              <p>
                <strong>{w.todo}:</strong> {known.todo}
              </p>
            )}
          </div>
          <Facts>
            <Fact label={w.device}>
              <Id value={row.did} />
            </Fact>
            <Fact label={w.topic}>
              <code>{row.topic.replace(row.did, shortDid(row.did))}</code>
            </Fact>
            <Fact label={w.first}>
              <Time ms={row.firstMs} />
            </Fact>
            <Fact label={w.last}>
              <Time ms={row.lastMs} />
            </Fact>
            <Fact label={w.times}>{number(row.times)}</Fact>
            <Fact label={w.size}>{w.bytes(number(bytes.length))}</Fact>
          </Facts>
          {may('operator') ? (
            <div class="actions">
              <button type="button" class="button primary" onClick={() => setDoing('release')}>
                {w.release}
              </button>
              <button type="button" class="button danger" onClick={() => setDoing('drop')}>
                {w.drop}
              </button>
            </div>
          ) : (
            <p class="muted">{w.onlyOperator}</p>
          )}
          <Says decoded={decoded} cti={row.cti} />
          <Tree decoded={decoded} />
          <details>
            <summary>{w.hex}</summary>
            {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls */}
            <pre class="dump" tabIndex={0}>
              {dump(bytes, DUMPED)}
            </pre>
            {bytes.length > DUMPED && <p class="muted">{w.cutBytes(number(bytes.length))}</p>}
            <button
              type="button"
              class="button small"
              onClick={() => save(new Blob([bytes], { type: 'application/octet-stream' }), `quarantine-${row.id}.bin`)}
            >
              {w.save}
            </button>
          </details>
        </>
      )}
    </Dialog>
  );
}

function Says({ decoded, cti }: { decoded: Decoded; cti: string | null }) {
  const w = useWords(words);
  if (decoded.form !== 'cbor' && decoded.form !== 'json')
    return decoded.form === 'bytes' ? <p class="note">{w.noForm}</p> : null;
  const { facts } = decoded;
  const or = (value: string | undefined) => value ?? <span class="muted">{w.unread}</span>;
  const isEnvelope = facts.iss !== undefined || facts.alg !== undefined;
  if (!isEnvelope && facts.records.length === 0) return null;
  return (
    <section>
      <h3>{w.says}</h3>
      <p class="muted">{w.saysWhy}</p>
      {isEnvelope && (
        <Facts>
          <Fact label={w.iss}>{facts.iss === undefined ? or(undefined) : <Id value={facts.iss} />}</Fact>
          <Fact label={w.sub}>{facts.sub === undefined ? or(undefined) : <code>{facts.sub}</code>}</Fact>
          <Fact label={w.iat}>{facts.iat === undefined ? or(undefined) : <Time ms={facts.iat * 1000} />}</Fact>
          <Fact label={w.epoch}>
            {facts.epoch === undefined || facts.seq === undefined
              ? or(undefined)
              : `${number(facts.epoch)} / ${number(facts.seq)}`}
            {cti !== null && (
              <>
                {' '}
                <code class="muted">{cti}</code>
              </>
            )}
          </Fact>
          <Fact label={w.alg}>{or(facts.alg)}</Fact>
          <Fact label={w.signature}>
            {or(facts.signatureBytes === undefined ? undefined : w.bytes(number(facts.signatureBytes)))}
          </Fact>
        </Facts>
      )}
      {facts.records.length > 0 && <Records records={facts.records} />}
    </section>
  );
}

function Records({ records }: { records: Said['records'] }) {
  const w = useWords(words);
  const rows = records.slice(0, 200).map((record, i) => ({ ...record, i }));
  const columns: Column<(typeof rows)[number]>[] = [
    { key: 'n', label: w.name, cell: (r) => <code>{r.n || '–'}</code> },
    { key: 'v', label: w.value, align: 'end', cell: (r) => r.v || '–' },
    { key: 'u', label: w.unit, cell: (r) => r.u || '–' },
    ...(rows.some((r) => r.t !== '')
      ? [{ key: 't', label: w.atTime, cell: (r: (typeof rows)[number]) => r.t || '–' }]
      : []),
  ];
  return <Table caption={w.records} rows={rows} columns={columns} rowKey={(r) => r.i} />;
}

function Tree({ decoded }: { decoded: Decoded }) {
  const w = useWords(words);
  if (decoded.form === 'bytes') return null;
  if (decoded.form !== 'cbor')
    return (
      <section>
        <h3>{w[decoded.form]}</h3>
        {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls */}
        <pre class="dump" tabIndex={0}>
          {decoded.text.slice(0, 20_000)}
        </pre>
      </section>
    );
  const { lines, cut } = decoded.root ? linesOf(decoded.root) : { lines: [], cut: false };
  return (
    <section>
      <h3>{w.tree}</h3>
      <p class="muted">{w.treeWhy}</p>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls */}
      <pre class="tree" tabIndex={0}>
        {lines.map((line, i) => (
          <span key={i} class="tree-line">
            <span class="tree-at">{line.at}</span>
            <span>
              {'  '.repeat(line.depth)}
              {line.text}
              {line.note && <i> / {line.note}</i>}
            </span>
          </span>
        ))}
      </pre>
      {cut && <p class="muted">{w.cutTree}</p>}
      {decoded.stop && <p class="refusal">{w[decoded.stop.why](number(decoded.stop.at))}</p>}
    </section>
  );
}

function Decide(props: {
  what: 'release' | 'drop';
  row: Row;
  onClose: () => void;
  onGone: (what: { index: number } | 'dropped') => void;
  onStays: () => void;
}) {
  const w = useWords(words);
  const { what, row } = props;
  const deed = useDeed();
  const [reason, setReason] = useState('');
  const [sure, setSure] = useState(false);
  const submit = async (): Promise<void> => {
    const body = { reason: reason.trim().replace(/\s+/g, ' ') };
    let index = 0;
    const isDone = await deed.run(async () => {
      const answer = await post<{ index?: number }>(`/quarantine/${row.id}/${what}`, body);
      index = answer.index ?? 0;
    });
    if (isDone) props.onGone(what === 'release' ? { index } : 'dropped');
    else props.onStays(); // it may have another reason now
  };
  return (
    <Dialog
      open
      title={what === 'release' ? w.releaseTitle : w.dropTitle}
      onClose={props.onClose}
      onSubmit={() => void submit()}
      submit={what === 'release' ? w.releaseDo : w.dropDo}
      danger={what === 'drop'}
      busy={deed.busy}
      disabled={reason.trim() === '' || (what === 'drop' && !sure)}
      error={deed.error}
    >
      <p>{what === 'release' ? w.releaseLead : w.dropLead}</p>
      <p>
        <Badge state={stateOf(row.code)}>{row.code}</Badge> <Id value={row.did} />
      </p>
      <Field label={w.why} hint={w.whyHint}>
        <textarea class="input" maxLength={256} value={reason} onInput={(e) => setReason(e.currentTarget.value)} />
      </Field>
      {what === 'drop' && (
        <label class="check-line">
          <input type="checkbox" checked={sure} onChange={(e) => setSure(e.currentTarget.checked)} />
          <span>{w.sure}</span>
        </label>
      )}
    </Dialog>
  );
}
