/** One certificate: all of it, how far it is on its way to the chain, its claims, and the file that proves it. */
import { useState } from 'preact/hooks';
import type { CertificateRowView, CreditClaimView, WhyView } from '../../api/credit-views.ts';
import { ask, post } from '../api.ts';
import { errorWords } from '../error-words.ts';
import { date, hourOf, number, utc } from '../format.ts';
import { useEvents } from '../live.ts';
import { useDeed, useQuery } from '../query.ts';
import { href, route } from '../router.ts';
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
import { VerifyThis } from '../verify/verify-this.tsx';
import { lang, useWords } from '../words.ts';
import words from './certificate.words.ts';
import { ClaimDialog } from './claim-credit.tsx';
import shared, { CELL_WORDS, flagWords, PURPOSE_WORDS, STATE_WHY } from './credit.words.ts';
import './credits.css';
import './common.css';
import './certificate.css';
import { download, saveJson } from '../download.ts';
import { cellOf } from './credits-day.ts';
import { Why } from './why.tsx';

type Whole = CertificateRowView & { certificate: object; why: WhyView; claims: CreditClaimView[] };
const BADGES: Record<CertificateRowView['state'], State> = {
  ...{ ready: 'idle', sent: 'info', minted: 'good', refused: 'bad', withdrawn: 'warn' },
};
const asSlot = (c: CertificateRowView) => ({ ...c, missing: null });

export default function Certificate() {
  const w = useWords(words);
  const s = useWords(shared);
  const id = route.value.params[0] ?? '';
  const { data: c, error, loading, reload } = useQuery<Whole>(`/certificates/${encodeURIComponent(id)}`, 30_000);
  const [doing, setDoing] = useState<'claim' | 'withdraw' | 'reissue'>();
  const [sent, setSent] = useState(false);
  const deed = useDeed();
  useEvents(['certificate', 'anchor'], (kind, data) => {
    if (kind === 'anchor' ? c?.why.root === null : sameHour((data as { id: string }).id, id)) reload();
  });
  const back = { href: c ? `${href('credits')}?day=${date(c.slot * 1000)}` : href('credits'), label: w.toCredits };
  const isOperator = may('operator');
  const left = c ? c.wh - c.claimedWh : 0;
  const stop = (): void => setDoing(undefined);
  const actions = c && (
    <>
      {isOperator && c.state === 'minted' && left > 0 && (
        <button type="button" class="button" onClick={() => setDoing('claim')}>
          {s.claim}
        </button>
      )}
      {isOperator && c.state === 'minted' && (
        <button type="button" class="button danger" onClick={() => setDoing('withdraw')}>
          {w.withdraw}
        </button>
      )}
      {isOperator && c.state === 'ready' && c.version > 0 && (
        <button type="button" class="button" onClick={() => setDoing('reissue')}>
          {w.reissue}
        </button>
      )}
      {c.state === 'minted' && (
        <button
          type="button"
          class="button primary"
          disabled={deed.busy}
          onClick={() => void deed.run(() => download(`/certificates/${c.id}/file`, `${c.id}.json`))}
        >
          {w.file}
        </button>
      )}
    </>
  );
  return (
    <Page title={c ? w.heading(`${number(c.wh)} Wh`) : w.title} lead={c && hourText(c)} back={back} actions={actions}>
      <Problem error={error ?? deed.error} retry={error ? reload : undefined} />
      {loading && <Loading />}
      {sent && (
        <p class="note" role="status">
          {w.gone}
        </p>
      )}
      {c && (
        <>
          <Way c={c} />
          <Panel title={s.why(`${number(c.wh)} Wh`)} hint={s.whyLead}>
            <Why why={c.why} wh={c.wh} />
          </Panel>
          <About c={c} />
          {c.state === 'minted' && (
            <VerifyThis
              load={async (signal) => {
                const bytes = new Uint8Array(await (await ask(`/certificates/${c.id}/file`, { signal })).arrayBuffer());
                return (verifier, trust) => verifier.planFiles([{ name: `${c.id}.json`, bytes }], trust);
              }}
            />
          )}
          <Claims c={c} />
          <Panel
            title={w.document}
            hint={w.documentWhy}
            actions={
              <button
                type="button"
                class="button small"
                onClick={() => saveJson(c.certificate, `${c.id}.document.json`)}
              >
                {w.save}
              </button>
            }
          >
            {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls */}
            <pre class="document" tabIndex={0}>
              {JSON.stringify(c.certificate, null, 2)}
            </pre>
            {c.state === 'minted' && <p class="muted">{w.fileWhy}</p>}
          </Panel>
          <ClaimDialog of={doing === 'claim' ? c : undefined} onClose={stop} onDone={reload} />
          <Withdraw
            c={doing === 'withdraw' ? c : undefined}
            onClose={stop}
            onDone={() => {
              setSent(true);
              reload();
            }}
          />
          <Reissue c={doing === 'reissue' ? c : undefined} onClose={stop} onDone={reload} />
        </>
      )}
    </Page>
  );
}

const versionOf = (id: string, version: number): string => id.replace(/v\d+$/, `v${version}`);

/** Of whatever version. */
const sameHour = (a: string, b: string): boolean => a.replace(/v\d+$/, '') === b.replace(/v\d+$/, '');

const hourText = (c: CertificateRowView) => (
  <span title={`${utc(c.slot * 1000)}`}>
    {date(c.slot * 1000)} {hourOf(c.slot * 1000)}–{hourOf(c.slot * 1000 + 3_600_000)} · {c.meteringPoint}
  </span>
);

type Step = {
  name: string;
  how: 'done' | 'waits' | 'stopped' | 'warned';
  why: string;
  at?: number | null;
  hash?: string;
};

function stepsOf(c: Whole, w: (typeof words)['en'], s: (typeof shared)['en']): Step[] {
  const { state, why, transaction } = c;
  const anchor = why.root?.anchor;
  const isMinted = transaction?.block !== null && transaction !== null;
  const made: Step = { name: w.made, how: 'done', why: w.madeWhy, at: c.madeMs };
  if (state === 'refused') {
    const known = c.code === null ? undefined : errorWords(c.code, lang.value);
    return [made, { name: w.refused, how: 'stopped', why: known?.title ?? c.code ?? '' }];
  }
  return [
    made,
    anchor
      ? { name: w.anchored, how: 'done', why: w.anchoredWhy, hash: anchor.transaction }
      : { name: w.anchored, how: 'waits', why: w.anchoredWhy },
    { name: w.sent, how: isMinted || state === 'sent' ? 'done' : 'waits', why: w.sentWhy },
    isMinted
      ? {
          ...{ name: s.minted, how: 'done', why: w.mintedWhy, hash: transaction.hash },
          at: transaction.time === null ? null : transaction.time * 1000,
        }
      : { name: s.minted, how: 'waits', why: w.mintedWhy },
    c.claimedWh > 0
      ? {
          name: s.claimed,
          how: c.claimedWh >= c.wh ? 'done' : 'warned',
          why: w.claimedWhy(`${number(c.claimedWh)} Wh`),
        }
      : { name: s.claimed, how: 'waits', why: w.unclaimedWhy },
    ...(state === 'withdrawn' ? [{ name: w.withdrawn, how: 'stopped', why: w.withdrawnWhy } as const] : []),
  ];
}

const STEP_SIGNS = { done: '✓', waits: '○', stopped: '✕', warned: '◐' };

function Way({ c }: { c: Whole }) {
  const w = useWords(words);
  const s = useWords(shared);
  const said = { done: w.done, waits: w.waits, stopped: w.stopped, warned: w.done };
  const known = c.code === null ? undefined : errorWords(c.code, lang.value);
  return (
    <Panel title={w.way} actions={<Badge state={BADGES[c.state]}>{CELL_WORDS[lang.value][cellOf(asSlot(c))]}</Badge>}>
      <p class="muted">{STATE_WHY[lang.value][c.state]}</p>
      <ol class="way">
        {stepsOf(c, w, s).map((step) => (
          <li key={step.name} class={step.how}>
            <span class="way-sign" aria-hidden="true">
              {STEP_SIGNS[step.how]}
            </span>
            <span class="hidden">{said[step.how]}: </span>
            <strong>{step.name}</strong>
            <span class="muted">{step.why}</span>
            {step.at && <Time ms={step.at} />}
            {step.hash && <Id value={step.hash} />}
          </li>
        ))}
      </ol>
      {c.code !== null && (
        <p class="refusal">
          {known?.todo} <code>{c.code}</code>
          {c.detail !== null && <span class="muted"> {c.detail}</span>}
        </p>
      )}
      {c.code === null && c.detail !== null && <p class="refusal">{c.detail}</p>}
    </Panel>
  );
}

function About({ c }: { c: Whole }) {
  const w = useWords(words);
  const s = useWords(shared);
  const older = c.version > 0 ? versionOf(c.id, c.version - 1) : undefined;
  const newer = versionOf(c.id, c.version + 1);
  const { data: next } = useQuery<CertificateRowView>(c.state === 'withdrawn' ? `/certificates/${newer}` : null, 5_000);
  return (
    <Panel>
      <Facts>
        <Fact label={w.id}>
          <Id value={c.id} head={20} tail={8} />
        </Fact>
        <Fact label={s.hour}>
          <Time ms={c.slot * 1000} />{' '}
          <span class="muted">{s.utc(c.start.slice(0, 16).replace('T', ' '), c.end.slice(11, 16))}</span>
        </Fact>
        <Fact label={s.point}>
          <code>{c.meteringPoint}</code>
        </Fact>
        <Fact label={s.device}>
          <a href={href('device', c.device)}>
            <Id value={c.device} copy={false} />
          </a>
        </Fact>
        <Fact label={s.energy}>{number(c.wh)} Wh</Fact>
        <Fact label={s.claimed}>{number(c.claimedWh)} Wh</Fact>
        {c.owner !== null && (
          <Fact label={`${s.minted}, ${s.owner}`}>
            <Id value={c.owner} />
          </Fact>
        )}
        {c.transaction && (
          <Fact label={s.transaction}>
            <Id value={c.transaction.hash} />{' '}
            <span class="muted">
              {c.transaction.block === null
                ? s.noBlock
                : s.inBlock(number(c.transaction.block), String(c.transaction.chainId))}
            </span>
          </Fact>
        )}
        {(older !== undefined || next) && (
          <Fact label={w.version}>
            {c.version}
            {older !== undefined && (
              <>
                {' · '}
                <a href={href('certificate', older)}>{w.older(String(c.version - 1))}</a>
              </>
            )}
            {next && (
              <>
                {' · '}
                <a href={href('certificate', newer)}>{w.older(String(c.version + 1))}</a>
              </>
            )}{' '}
            <span class="muted">{w.versionWhy}</span>
          </Fact>
        )}
        {c.flags.length > 0 && (
          <Fact label={s.flags}>
            {c.flags.map((flag) => (
              <div key={flag}>{flagWords(flag, lang.value)}</div>
            ))}
          </Fact>
        )}
      </Facts>
    </Panel>
  );
}

function Claims({ c }: { c: Whole }) {
  const w = useWords(words);
  const s = useWords(shared);
  const columns: Column<CreditClaimView>[] = [
    {
      key: 'time',
      label: s.time,
      cell: ({ transaction: t }) => (t.time === null ? s.noBlock : <Time ms={t.time * 1000} />),
    },
    { key: 'wh', label: s.energy, cell: (claim) => `${number(claim.wh)} Wh`, align: 'end' },
    { key: 'purpose', label: s.purpose, cell: (claim) => PURPOSE_WORDS[lang.value][claim.purpose] },
    { key: 'recipient', label: s.recipient, cell: (claim) => claim.recipient || '–', rank: 2 },
    {
      key: 'for',
      label: w.beneficiary,
      cell: (claim) => (/^0x0+$/.test(claim.beneficiary) ? w.nobody : <Id value={claim.beneficiary} />),
      rank: 3,
    },
    { key: 'holder', label: w.holder, cell: (claim) => <Id value={claim.holder} />, rank: 3 },
    { key: 'tx', label: s.transaction, cell: (claim) => <Id value={claim.transaction.hash} />, rank: 2 },
  ];
  return (
    <Panel title={w.claims} hint={w.claimsWhy} flush>
      <Table
        caption={w.claims}
        rows={c.claims}
        columns={columns}
        rowKey={(claim) => `${claim.transaction.hash} ${claim.wh} ${claim.beneficiary}`}
        empty={<Empty title={w.noClaims}>{w.noClaimsWhy}</Empty>}
      />
    </Panel>
  );
}

type DialogOf = { c: Whole | undefined; onClose: () => void; onDone: () => void };

function Withdraw({ c, onClose, onDone }: DialogOf) {
  const w = useWords(words);
  const deed = useDeed();
  const [reason, setReason] = useState('');
  const [sure, setSure] = useState(false);
  const close = (): void => {
    setReason('');
    setSure(false);
    deed.clear();
    onClose();
  };
  const submit = async (): Promise<void> => {
    if (c && (await deed.run(() => post(`/certificates/${c.id}/withdraw`, { reason: reason.trim() })))) {
      close();
      onDone();
    }
  };
  return (
    <Dialog
      open={c !== undefined}
      title={w.withdrawTitle}
      onClose={close}
      onSubmit={() => void submit()}
      submit={w.withdrawDo}
      danger
      busy={deed.busy}
      disabled={!sure || reason.trim() === ''}
      error={deed.error}
    >
      {c && <p>{w.withdrawLead(c.start.slice(0, 10), c.meteringPoint)}</p>}
      <Field label={w.reason} hint={w.reasonHint}>
        <textarea class="input" maxLength={256} value={reason} onInput={(e) => setReason(e.currentTarget.value)} />
      </Field>
      <label class="check-line">
        <input type="checkbox" checked={sure} onChange={(e) => setSure(e.currentTarget.checked)} />
        <span>{w.withdrawSure}</span>
      </label>
    </Dialog>
  );
}

function Reissue({ c, onClose, onDone }: DialogOf) {
  const w = useWords(words);
  const deed = useDeed();
  const submit = async (): Promise<void> => {
    if (c && (await deed.run(() => post(`/certificates/${c.id}/reissue`)))) {
      onClose();
      onDone();
    }
  };
  return (
    <Dialog
      open={c !== undefined}
      title={w.reissueTitle}
      onClose={onClose}
      onSubmit={() => void submit()}
      submit={w.reissueDo}
      busy={deed.busy}
      error={deed.error}
    >
      <p>{w.reissueLead}</p>
    </Dialog>
  );
}
