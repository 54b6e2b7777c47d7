/** One entry: what it says, its bytes, its receipts, and "verify this". */
import { useEffect, useState } from 'preact/hooks';
import type { EntryView } from '../../api/views.ts';
import { type ApiError, ask } from '../api.ts';
import { download } from '../download.ts';
import { clock, number } from '../format.ts';
import { useQuery } from '../query.ts';
import { href, route } from '../router.ts';
import { Badge, Empty, Fact, Facts, Id, Loading, Page, Panel, Problem, Segments, Time } from '../ui/index.ts';
import { Hex } from '../verify/hex.tsx';
import { Records } from '../verify/steps.tsx';
import { verifier } from '../verify/verifier.ts';
import { VerifyThis } from '../verify/verify-this.tsx';
import { useWords } from '../words.ts';
import './entry.css';
import table from './entry.words.ts';

const FORMATS = ['json', 'tlog-proof', 'cose', 'calldata'] as const;
type Format = (typeof FORMATS)[number];
const receiptPath = (index: number, format: Format): string => `/entries/${index}/receipt?format=${format}`;
const nameOf = (index: number, format: Format): string =>
  `entry-${index}.${{ json: 'json', 'tlog-proof': 'tlog-proof', cose: 'cose', calldata: 'calldata.json' }[format]}`;

export default function Entry() {
  const w = useWords(table);
  const text = route.value.params[0] ?? '';
  const index = /^\d{1,15}$/.test(text) ? Number(text) : undefined;
  const { data, error, loading, reload } = useQuery<EntryView>(index === undefined ? null : `/entries/${index}`);
  const gone = error?.code === 'ENTRY_PRUNED' || error?.code === 'ENTRY_FORGOTTEN';
  return (
    <Page
      title={w.title(index === undefined ? text.slice(0, 20) : number(index))}
      lead={w.lead}
      back={{ href: href('log'), label: w.toLog }}
      actions={index === undefined ? undefined : <Neighbours index={index} />}
    >
      {index === undefined && <Empty title={w.badIndex} />}
      {loading && <Loading />}
      {gone ? (
        <Empty title={error.code === 'ENTRY_PRUNED' ? w.pruned : w.forgotten}>
          {error.code === 'ENTRY_PRUNED' ? w.prunedWhy : w.forgottenWhy}
        </Empty>
      ) : (
        <Problem error={error} retry={reload} />
      )}
      {data && index !== undefined && (
        <div class="entry">
          <Said entry={data} />
          <Verify index={index} sealed={data.sealed === true} />
          <div class="entry-below">
            <Receipts index={index} sealed={data.sealed === true} />
            {data.envelope && <Envelope base64={data.envelope} />}
          </div>
        </div>
      )}
    </Page>
  );
}

function Neighbours({ index }: { index: number }) {
  const w = useWords(table);
  return (
    <>
      {index > 0 && (
        <a class="button" href={href('entry', index - 1)}>
          <span aria-hidden="true">‹ </span>
          {w.before}
        </a>
      )}
      <a class="button" href={href('entry', index + 1)}>
        {w.after}
        <span aria-hidden="true"> ›</span>
      </a>
    </>
  );
}

function Said({ entry }: { entry: EntryView }) {
  const w = useWords(table);
  const { did, kind, sub, custody, epoch, seq, iat, receivedMs, clock: quality, sealed, late } = entry;
  return (
    <Panel
      title={w.reading}
      actions={
        <>
          <Badge state={sealed ? 'info' : 'idle'}>{sealed ? w.sealed : w.open}</Badge>
          {late && <Badge state="warn">{w.late}</Badge>}
        </>
      }
    >
      <Records records={entry.records} />
      <Facts>
        <Fact label={w.device}>
          <a href={href('device', did)}>
            <Id value={did} head={16} tail={6} copy={false} />
          </a>
        </Fact>
        <Fact label={w.subject}>
          <code>{sub}</code>
        </Fact>
        <Fact label={w.kind}>{kind}</Fact>
        <Fact label={w.deviceTime}>{iat === undefined ? '–' : <Time ms={iat * 1000} />}</Fact>
        <Fact label={w.received}>
          <Time ms={receivedMs} />
        </Fact>
        <Fact label={w.clock}>{w[quality]}</Fact>
        <Fact label={w.custody}>{w[`custody.${custody}`]}</Fact>
        <Fact label={w.counter}>
          {epoch}/{seq}
        </Fact>
      </Facts>
      {sealed && <p class="note">{w.sealedWhy}</p>}
      {late && (
        <p class="muted">
          {late.status}, {clock(late.sinceMs)}
        </p>
      )}
    </Panel>
  );
}

function Receipts({ index, sealed }: { index: number; sealed: boolean }) {
  const w = useWords(table);
  const [error, setError] = useState<ApiError | undefined>(undefined);
  const save = async (name: string, path: string): Promise<void> => {
    setError(undefined);
    try {
      await download(path, name);
    } catch (e) {
      setError(e as ApiError);
    }
  };
  return (
    <Panel title={w.receipts} hint={w.receiptsHint}>
      <ul class="downloads">
        {FORMATS.map((format) => (
          <li key={format}>
            <span>{w[`format.${format}`]}</span>
            <button
              type="button"
              class="button small"
              data-format={format}
              onClick={() => void save(nameOf(index, format), receiptPath(index, format))}
            >
              {w.download} <span class="hidden">{format}</span>
            </button>
          </li>
        ))}
        {sealed && (
          <li>
            <span>{w.opening}</span>
            <button
              type="button"
              class="button small"
              onClick={() => void save(`entry-${index}.opening.json`, `/entries/${index}/opening`)}
            >
              {w.download} <span class="hidden">opening</span>
            </button>
          </li>
        )}
      </ul>
      <Problem error={error} />
    </Panel>
  );
}

function Verify({ index, sealed }: { index: number; sealed: boolean }) {
  const w = useWords(table);
  const [format, setFormat] = useState<Format>('json');
  return (
    <VerifyThis
      load={async (signal) => {
        const receipt = await ask(receiptPath(index, format), { signal });
        const files = [{ name: nameOf(index, format), bytes: new Uint8Array(await receipt.arrayBuffer()) }];
        if (sealed) {
          const opening = await ask(`/entries/${index}/opening`, { signal });
          files.push({ name: 'opening', bytes: new Uint8Array(await opening.arrayBuffer()) });
        }
        return (verifier, trust) => verifier.planFiles(files, trust);
      }}
      controls={
        <Segments<Format>
          label={w.format}
          value={format}
          options={FORMATS.map((value) => ({ value, label: value }))}
          onChange={setFormat}
        />
      }
    />
  );
}

type Parts = { protectedHeader: Uint8Array; payload: Uint8Array; signature: Uint8Array };

function Envelope({ base64 }: { base64: string }) {
  const w = useWords(table);
  const [parts, setParts] = useState<Parts | undefined>(undefined);
  const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
  useEffect(() => {
    void verifier().then(
      ({ decodeSign1 }) => setParts(decodeSign1(bytes)),
      () => setParts(undefined),
    );
  }, [base64]);
  return (
    <Panel title={w.envelope} hint={w.envelopeHint(bytes.length)}>
      <div class="envelope">
        {parts &&
          (
            [
              ['part.protected', parts.protectedHeader],
              ['part.payload', parts.payload],
              ['part.signature', parts.signature],
            ] as const
          ).map(([name, part]) => (
            <div key={name}>
              <p class="v-looked-label">
                {w[name]} <span class="muted">({part.length})</span>
              </p>
              <Hex bytes={part} label={w[name]} />
            </div>
          ))}
        <div>
          <p class="v-looked-label">{w['part.whole']}</p>
          <Hex bytes={bytes} label={w['part.whole']} />
        </div>
      </div>
    </Panel>
  );
}
