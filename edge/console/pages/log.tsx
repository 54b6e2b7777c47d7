/** The log: how long it is, what of it is signed, witnessed and anchored, and its newest entries. */
import { useCallback, useState } from 'preact/hooks';
import type { AnchorView, ChainView, EntryView, WitnessesView } from '../../api/views.ts';
import { type ApiError, ask, get } from '../api.ts';
import { number, shortDid } from '../format.ts';
import { useEvents } from '../live.ts';
import { type Query, useLoad, useQuery } from '../query.ts';
import { go, href } from '../router.ts';
import {
  Badge,
  Chart,
  type Column,
  Empty,
  Fact,
  Facts,
  Field,
  Id,
  Loading,
  Page,
  Panel,
  Problem,
  Stat,
  type State,
  Table,
  Time,
} from '../ui/index.ts';
import { VerifyThis } from '../verify/verify-this.tsx';
import { useWords } from '../words.ts';
import './log.css';
import table from './log.words.ts';

const NEWEST = 25;
const ANCHORS = 100;
/** What has no event of its own is asked for again. */
const EVERY_MS = 10_000;

type Checkpoint = { note: string; size: number; root: string };

/** Undefined where the log has none yet. */
async function newestCheckpoint(signal: AbortSignal): Promise<Checkpoint | undefined> {
  try {
    const note = await (await ask('/log/checkpoint', { signal })).text();
    const [, size = '', root = ''] = note.split('\n');
    return { note, size: Number(size), root };
  } catch (error) {
    if ((error as ApiError).code === 'NOT_IN_CHECKPOINT') return undefined;
    throw error;
  }
}
const optional = async (signal: AbortSignal) => ({ checkpoint: await newestCheckpoint(signal) });
const key = async (signal: AbortSignal): Promise<string> => (await ask('/log/key', { signal })).text();

type Entries = { entries: EntryView[]; size: number };
const newest = (signal: AbortSignal): Promise<Entries> => get<Entries>(`/entries?newest=true&limit=${NEWEST}`, signal);

const isOnChain = ({ status }: AnchorView): boolean => status === 'mined' || status === 'confirmed';

export default function Log() {
  const w = useWords(table);
  const entries = useLoad(newest, EVERY_MS);
  const checkpoint = useLoad(optional, EVERY_MS);
  const chain = useQuery<ChainView>('/log/chain');
  const anchors = useQuery<{ anchors: AnchorView[] }>(`/anchors?limit=${ANCHORS}`, EVERY_MS);
  const witnesses = useQuery<WitnessesView>('/log/witnesses', EVERY_MS);
  useEvents(['checkpoint', 'anchor'], (kind) => {
    checkpoint.reload();
    entries.reload();
    witnesses.reload();
    if (kind === 'anchor') anchors.reload();
  });
  return (
    <Page title={w.title} lead={w.lead} actions={<GoTo />}>
      <div class="log-stats">
        <Stats {...{ entries, checkpoint, chain, anchors, witnesses }} />
      </div>
      <Problem error={entries.error ?? anchors.error} retry={entries.reload} />
      <VerifyLog />
      <Newest rows={entries.data?.entries} />
      {chain.data?.chain !== null && <Growth anchors={anchors.data?.anchors} />}
      {chain.data?.chain !== null && <Anchors first={anchors} />}
      <Note checkpoint={checkpoint.data?.checkpoint} chain={chain.data?.chain ?? undefined} />
    </Page>
  );
}

/** The checkpoint is signed, and what the chain holds is the beginning of it. */
function VerifyLog() {
  const w = useWords(table);
  return (
    <VerifyThis
      title={w.verifyLog}
      hint={w.verifyLogHint}
      load={async (signal) => {
        const note = await (await ask('/log/checkpoint', { signal })).text();
        return (verifier, trust) =>
          verifier.planLog(
            note,
            async (level, n, width) =>
              new Uint8Array(await (await ask(`/log/${verifier.tilePath(level, n, width)}`, { signal })).arrayBuffer()),
            trust,
          );
      }}
    />
  );
}

function GoTo() {
  const w = useWords(table);
  const [text, setText] = useState('');
  return (
    <form
      class="go-to"
      onSubmit={(event) => {
        event.preventDefault();
        if (/^\d+$/.test(text)) go(href('entry', text));
      }}
    >
      <Field label={w.goTo}>
        <input
          class="input"
          inputMode="numeric"
          pattern="[0-9]*"
          size={8}
          value={text}
          onInput={(event) => setText(event.currentTarget.value.trim())}
        />
      </Field>
      <button type="submit" class="button" disabled={!/^\d+$/.test(text)}>
        {w.go}
      </button>
    </form>
  );
}

function Stats(props: {
  entries: Query<Entries>;
  checkpoint: Query<{ checkpoint: Checkpoint | undefined }>;
  chain: Query<ChainView>;
  anchors: Query<{ anchors: AnchorView[] }>;
  witnesses: Query<WitnessesView>;
}) {
  const w = useWords(table);
  const size = props.entries.data?.size;
  const signed = props.checkpoint.data?.checkpoint?.size;
  const none = props.chain.data?.chain === null;
  const anchor = props.anchors.data?.anchors.find(isOnChain);
  const waits = size === undefined ? undefined : size - (anchor?.size ?? 0);
  const by = props.witnesses.data;
  return (
    <>
      <Stat label={w.entries} value={number(size)} why={w.entriesWhy} />
      <Stat
        label={w.checkpoint}
        value={number(signed)}
        why={props.checkpoint.data && signed === undefined ? w.noCheckpoint : w.checkpointWhy}
      />
      <Stat
        label={w.anchored}
        value={none ? '–' : number(anchor?.size ?? (props.anchors.data ? 0 : undefined))}
        why={
          none ? (
            w.noChain
          ) : props.anchors.data && !anchor ? (
            w.noAnchor
          ) : (
            <>
              {waits ? w.waiting(number(waits)) : w.allAnchored}
              {anchor && (
                <>
                  {' · '}
                  <Time ms={anchor.minedMs ?? anchor.madeMs} ago />
                </>
              )}
            </>
          )
        }
      />
      <Stat
        label={w.witnesses}
        value={by && by.witnesses.length > 0 ? `${by.cosigned}/${by.witnesses.length}` : '–'}
        {...(by && by.witnesses.length > 0 ? { state: by.unwitnessed ? ('warn' as const) : ('good' as const) } : {})}
        why={by && by.witnesses.length > 0 ? w.witnessWhy(by.quorum) : w.noWitnesses}
      />
    </>
  );
}

function Newest({ rows }: { rows: EntryView[] | undefined }) {
  const w = useWords(table);
  const columns: Column<EntryView>[] = [
    {
      key: 'index',
      label: w.index,
      cell: ({ index }) => <a href={href('entry', index)}>{number(index)}</a>,
      width: '6rem',
    },
    { key: 'reading', label: w.reading, cell: (row) => <Reading entry={row} /> },
    {
      key: 'device',
      label: w.device,
      rank: 2,
      cell: ({ did, sub }) => (
        <a href={href('device', did)} title={did}>
          {sub} <small class="muted">{shortDid(did)}</small>
        </a>
      ),
    },
    { key: 'received', label: w.received, cell: ({ receivedMs }) => <Time ms={receivedMs} />, width: '9rem' },
  ];
  return (
    <Panel title={w.newest} hint={w.newestHint} flush>
      {rows ? <Table caption={w.newest} rows={rows} columns={columns} rowKey={({ index }) => index} /> : <Loading />}
    </Panel>
  );
}

function Reading({ entry }: { entry: EntryView }) {
  const w = useWords(table);
  const [first, ...rest] = entry.records;
  const value = first?.v ?? first?.vs ?? first?.vb;
  return (
    <>
      {first && (
        <>
          <span class="muted">{first.n}</span> {typeof value === 'number' ? number(value, 6) : String(value ?? '…')}{' '}
          {first.u} {rest.length > 0 && <small class="muted">{w.more(rest.length)}</small>}
        </>
      )}{' '}
      {entry.forgotten ? (
        <Badge state="idle">{w.forgotten}</Badge>
      ) : entry.pruned ? (
        <Badge state="idle">{w.pruned}</Badge>
      ) : entry.sealed ? (
        <Badge state="info">{w.sealed}</Badge>
      ) : null}
    </>
  );
}

function Growth({ anchors }: { anchors: AnchorView[] | undefined }) {
  const w = useWords(table);
  const points = (anchors ?? [])
    .filter(isOnChain)
    .map(({ minedMs, madeMs, size }) => [minedMs ?? madeMs, size] as const)
    .sort((a, b) => a[0] - b[0]);
  if (points.length < 2) return null; // one point is no growth
  return (
    <Panel title={w.growth} hint={w.growthHint}>
      <Chart label={w.growth} series={[{ label: w.growthOf, points, shape: 'step' }]} height={200} />
    </Panel>
  );
}

const STATES: Record<AnchorView['status'], State> = {
  signed: 'info',
  sent: 'info',
  mined: 'good',
  confirmed: 'good',
  failed: 'bad',
  lost: 'warn',
};

function Anchors({ first }: { first: Query<{ anchors: AnchorView[] }> }) {
  const w = useWords(table);
  const [older, setOlder] = useState<AnchorView[]>([]);
  const [error, setError] = useState<ApiError | undefined>(undefined);
  const newest = first.data?.anchors ?? [];
  const from = newest.at(-1)?.id ?? 0;
  const rows = [...newest, ...older.filter(({ id }) => id < from)];
  const last = rows.at(-1)?.id ?? 1;
  const more = useCallback(async (): Promise<void> => {
    try {
      const { anchors } = await get<{ anchors: AnchorView[] }>(`/anchors?limit=${ANCHORS}&before=${last}`);
      setOlder((old) => [...old, ...anchors]);
      setError(undefined);
    } catch (e) {
      setError(e as ApiError);
    }
  }, [last]);
  const columns: Column<AnchorView>[] = [
    { key: 'size', label: w.size, align: 'end', cell: ({ size }) => number(size), width: '7rem' },
    {
      key: 'state',
      label: w.state,
      cell: ({ status }) => <Badge state={STATES[status]}>{w[`state.${status}`]}</Badge>,
      width: '9rem',
    },
    { key: 'tx', label: w.transaction, cell: ({ transaction }) => <Id value={transaction} /> },
    { key: 'root', label: w.root, rank: 3, cell: ({ root }) => <Id value={root} /> },
    { key: 'block', label: w.block, rank: 2, align: 'end', cell: ({ block }) => number(block) },
    { key: 'gas', label: w.gas, rank: 3, align: 'end', cell: ({ gasUsed }) => number(gasUsed) },
    { key: 'time', label: w.time, cell: ({ minedMs, madeMs }) => <Time ms={minedMs ?? madeMs} /> },
  ];
  return (
    <Panel title={w.anchors} hint={w.anchorsHint} flush>
      {first.loading ? (
        <Loading />
      ) : (
        <Table
          caption={w.anchors}
          rows={rows}
          columns={columns}
          rowKey={({ id }) => id}
          empty={<Empty title={w.noAnchors}>{w.noAnchorsWhy}</Empty>}
        />
      )}
      {last > 1 && rows.length >= ANCHORS && (
        <p class="log-more">
          <button type="button" class="button small" onClick={() => void more()}>
            {w.older}
          </button>
        </p>
      )}
      <Problem error={error} />
    </Panel>
  );
}

function Note(props: { checkpoint: Checkpoint | undefined; chain: NonNullable<ChainView['chain']> | undefined }) {
  const w = useWords(table);
  const { data } = useLoad(key);
  const { checkpoint, chain } = props;
  return (
    <div class="log-notes">
      <Panel title={w.note} hint={w.noteHint}>
        {checkpoint ? <pre class="log-note">{checkpoint.note}</pre> : <p class="muted">{w.noCheckpoint}</p>}
      </Panel>
      <Panel title={w.place} hint={w.placeHint} class="log-place">
        <Facts>
          <Fact label={w.key}>{data ? <Id value={data.trim()} head={18} tail={6} /> : '–'}</Fact>
          <Fact label={w.contract}>{chain ? <Id value={chain.contract} /> : '–'}</Fact>
          <Fact label={w.chain}>{chain ? chain.chainId : '–'}</Fact>
        </Facts>
      </Panel>
    </div>
  );
}
