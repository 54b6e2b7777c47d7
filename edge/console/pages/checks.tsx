/** Checks: the gate as it happens, each decision with its reason in plain words. */
import { useCallback, useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { CheckView, CityBundleView, GateView } from '../../api/check-views.ts';
import { ApiError, ask, get } from '../api.ts';
import { errorWords } from '../error-words.ts';
import { clock, duration, number } from '../format.ts';
import { useCaughtUp } from '../fresh.ts';
import { useEvents } from '../live.ts';
import { useQuery } from '../query.ts';
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
  Segments,
  Stat,
  type State,
  Table,
  Time,
} from '../ui/index.ts';
import { lang, useWords } from '../words.ts';
import { DECISION_WORDS, evidenceOf, reasonWords } from './check-reasons.words.ts';
import words from './checks.words.ts';
import './common.css';
import './checks.css';

type Decision = CheckView['decision'];
type Count = { decision: string; reason: string; n: number };
type Listed = { checks: CheckView[]; counts: Count[] };

const STATES: Record<Decision, State> = { ALLOW: 'good', ALLOW_STALE: 'warn', REVIEW: 'warn', DENY: 'bad' };
const SIGNS: Record<Decision, string> = { ALLOW: '✓', ALLOW_STALE: '✓!', REVIEW: '?', DENY: '✕' };
const DECISIONS = Object.keys(STATES) as Decision[];
const PAGE = 200;
/** Kept on the page while it is open. */
const MOST = 5000;
const DEFAULT_WAIT_S = 20;

const bareUrn = (urn: string): string => urn.replace(/^urn:sejong:registration:/, '');

export default function Checks() {
  const w = useWords(words);
  const { checks, counts, error, loading, reload, older, hasOlder } = useChecks();
  const bundle = useQuery<{ bundle: CityBundleView | null; problem: string | null }>('/checks/bundle', 30_000);
  const gates = useQuery<{ gates: GateView[] }>('/checks/gates');
  const [asking, setAsking] = useState(false);
  const [open, setOpen] = useState<number>();
  const canAsk = may('engineer') && (gates.data?.gates.length ?? 0) > 0;
  return (
    <Page
      title={w.title}
      lead={w.lead}
      actions={
        canAsk && (
          <button type="button" class="button primary" onClick={() => setAsking(true)}>
            {w.ask}
          </button>
        )
      }
    >
      <Problem error={error} retry={reload} />
      {loading && <Loading />}
      {checks && <Newest check={checks[0]} onOpen={setOpen} />}
      {checks && <Counts counts={counts} />}
      {bundle.data && gates.data && <City {...bundle.data} gates={gates.data.gates} />}
      {checks && checks.length > 0 && (
        <Decisions checks={checks} onOpen={setOpen} onMore={hasOlder ? older : undefined} />
      )}
      <Ask open={asking} gates={gates.data?.gates ?? []} onClose={() => setAsking(false)} />
      <One index={open} onClose={() => setOpen(undefined)} />
    </Page>
  );
}

/** The newest, older ones as they are asked for, and each new one as it happens. */
function useChecks() {
  const { data, error, loading, reload } = useQuery<Listed>(`/checks?limit=${PAGE}`);
  useCaughtUp(reload);
  const [come, setCome] = useState<CheckView[]>([]);
  const [past, setPast] = useState<CheckView[]>([]);
  const [hasOlder, setHasOlder] = useState(true);
  const [failed, setFailed] = useState<ApiError>();
  useEvents(['check'], (_, check) => setCome((list) => [check, ...list].slice(0, MOST)));
  const checks = useMemo(() => {
    if (!data) return undefined;
    const all = new Map([...past, ...data.checks, ...come].map((check) => [check.index, check]));
    return [...all.values()].sort((a, b) => b.index - a.index).slice(0, MOST);
  }, [data, come, past]);
  const counts = useMemo(() => {
    const newest = data?.checks[0]?.index ?? -1; // all up to it are in the counts of the answer
    const sums = new Map(data?.counts.map((c) => [`${c.decision} ${c.reason}`, c]) ?? []);
    for (const { index, decision, reason } of come) {
      if (index <= newest) continue;
      const key = `${decision} ${reason}`;
      sums.set(key, { decision, reason, n: (sums.get(key)?.n ?? 0) + 1 });
    }
    return [...sums.values()];
  }, [data, come]);
  const last = checks?.at(-1)?.index;
  const older = useCallback(async () => {
    try {
      const more = (await get<Listed>(`/checks?limit=${PAGE}&before=${last}`)).checks;
      setPast((list) => [...list, ...more]);
      setHasOlder(more.length === PAGE);
    } catch (wrong) {
      if (wrong instanceof ApiError) setFailed(wrong);
    }
  }, [last]);
  const isFull = (data?.checks.length ?? 0) >= PAGE && (checks?.length ?? 0) < MOST;
  return { checks, counts, error: error ?? failed, loading, reload, older, hasOlder: hasOlder && isFull };
}

function Newest({ check, onOpen }: { check: CheckView | undefined; onOpen: (index: number) => void }) {
  const w = useWords(words);
  if (!check)
    return (
      <Panel>
        <Empty title={w.none}>{w.noneWhy}</Empty>
      </Panel>
    );
  return (
    <section class={`gate-now ${STATES[check.decision]}`} aria-live="polite" aria-label={w.newestHint}>
      <span class="gate-sign" aria-hidden="true">
        {SIGNS[check.decision]}
      </span>
      <div class="gate-said">
        <p class="gate-decision">{DECISION_WORDS[lang.value][check.decision]}</p>
        <p>{reasonWords(check.reason, lang.value)}</p>
        <p class="muted">
          {check.gate ?? w.noGate}
          {check.purpose && ` · ${check.purpose}`} · <Time ms={check.decidedMs} ago />
          {check.registration && ` · ${bareUrn(check.registration)}`}
        </p>
      </div>
      <button type="button" class="button small" onClick={() => onOpen(check.index)}>
        {w.one(number(check.index))}
      </button>
    </section>
  );
}

function Counts({ counts }: { counts: readonly Count[] }) {
  const w = useWords(words);
  return (
    <div class="grid sums">
      {DECISIONS.map((decision) => {
        const of = counts.filter((c) => c.decision === decision);
        const most = of.toSorted((a, b) => b.n - a.n)[0];
        return (
          <Stat
            key={decision}
            label={`${SIGNS[decision]} ${DECISION_WORDS[lang.value][decision]}`}
            value={number(of.reduce((sum, { n }) => sum + n, 0))}
            why={most && decision !== 'ALLOW' ? `${most.reason} ${number(most.n)}` : w.kept}
          />
        );
      })}
    </div>
  );
}

function Decisions(props: {
  checks: readonly CheckView[];
  onOpen: (index: number) => void;
  onMore: (() => void) | undefined;
}) {
  const w = useWords(words);
  const { checks, onOpen } = props;
  const [decision, setDecision] = useState<Decision | 'all'>('all');
  const [gate, setGate] = useState('');
  const gates = useMemo(() => [...new Set(checks.flatMap((c) => c.gate ?? []))].sort(), [checks]);
  const rows = useMemo(
    () => checks.filter((c) => (decision === 'all' || c.decision === decision) && (gate === '' || c.gate === gate)),
    [checks, decision, gate],
  );
  const columns: Column<CheckView>[] = [
    {
      key: 'time',
      label: w.time,
      width: '7rem',
      cell: (c) => (
        <button type="button" class="link" onClick={() => onOpen(c.index)}>
          <Time ms={c.decidedMs} />
        </button>
      ),
    },
    {
      key: 'decision',
      label: w.decision,
      cell: (c) => (
        <>
          <Badge state={STATES[c.decision]}>{DECISION_WORDS[lang.value][c.decision]}</Badge>
          <small class="only-narrow">{reasonWords(c.reason, lang.value)}</small>
        </>
      ),
    },
    {
      key: 'reason',
      label: w.reason,
      rank: 2,
      cell: (c) => <span title={c.reason}>{reasonWords(c.reason, lang.value)}</span>,
    },
    { key: 'gate', label: w.gate, width: '7rem', rank: 2, cell: (c) => c.gate ?? w.noGate },
    {
      key: 'registration',
      label: w.registration,
      rank: 3,
      width: '14rem',
      cell: (c) => (c.registration ? <code>{bareUrn(c.registration)}</code> : <span class="muted">{w.unproven}</span>),
    },
    { key: 'index', label: w.entry, rank: 3, width: '6rem', align: 'end', cell: (c) => number(c.index) },
  ];
  return (
    <Panel
      title={w.decisions}
      hint={w.live}
      flush
      actions={
        <>
          <div class="scroll-x">
            <Segments
              label={w.filter}
              value={decision}
              options={[
                { value: 'all', label: w.all },
                ...DECISIONS.map((d) => ({
                  value: d,
                  label: <span title={DECISION_WORDS[lang.value][d]}>{DECISION_WORDS[lang.value][d]}</span>,
                })),
              ]}
              onChange={setDecision}
            />
          </div>
          {gates.length > 1 && (
            <select
              class="input auto"
              aria-label={w.gate}
              value={gate}
              onChange={(e) => setGate(e.currentTarget.value)}
            >
              <option value="">{w.anyGate}</option>
              {gates.map((name) => (
                <option key={name} value={name}>
                  {name}
                </option>
              ))}
            </select>
          )}
        </>
      }
    >
      <Table
        caption={w.decisions}
        rows={rows}
        columns={columns}
        rowKey={(c) => c.index}
        empty={<Empty title={w.nothing}>{w.nothingWhy}</Empty>}
      />
      {props.onMore && (
        <p class="panel-foot">
          <button type="button" class="button small" onClick={props.onMore}>
            {w.more}
          </button>
        </p>
      )}
    </Panel>
  );
}

function City(props: { bundle: CityBundleView | null; problem: string | null; gates: readonly GateView[] }) {
  const { bundle, problem, gates } = props;
  const w = useWords(words);
  if (!bundle)
    return (
      <Panel title={w.city}>
        {gates.length === 0 ? (
          <Empty title={w.off}>{errorWords('CHECKS_OFF', lang.value)?.todo}</Empty>
        ) : (
          <Empty title={w.noBundle}>{problem}</Empty>
        )}
      </Panel>
    );
  const state: State = { fresh: 'good', stale: 'warn', 'too old': 'bad' }[bundle.freshness] as State;
  const { publish, refresh, staleness, total } = bundle.revocationLatencySeconds;
  return (
    <Panel title={w.city} actions={<Badge state={state}>{w[bundle.freshness]}</Badge>}>
      <Facts>
        <Fact label={w.bundle}>
          {bundle.version} · <Time ms={bundle.issuedMs} />
        </Fact>
        <Fact label={w.age}>
          {duration(bundle.statusAgeSeconds)} {w.ageWhy}
        </Fact>
        <Fact label={w.latency}>
          {duration(total)}{' '}
          <span class="muted">{w.latencyWhy(duration(publish), duration(refresh), duration(staleness))}</span>
        </Fact>
        <Fact label={w.vouched}>
          {bundle.vouchedUntilMs === null ? (
            <Badge state="bad">{w.notVouched}</Badge>
          ) : (
            <Time ms={bundle.vouchedUntilMs} />
          )}
        </Fact>
        <Fact label={w.issuers}>{bundle.issuers.map(({ name }) => name).join(', ') || '–'}</Fact>
        <Fact label={w.zones}>{bundle.zones.join(', ') || '–'}</Fact>
      </Facts>
      {problem !== null && (
        <p class="refusal">
          {w.problem}: {problem}
        </p>
      )}
    </Panel>
  );
}

/** All of one decision. */
function One({ index, onClose }: { index: number | undefined; onClose: () => void }) {
  const w = useWords(words);
  const { data: c, error } = useQuery<CheckView>(index === undefined ? null : `/checks/${index}`);
  const age = c?.statusAgeSeconds ?? null;
  return (
    <Dialog open={index !== undefined} title={w.one(number(index))} onClose={onClose} wide>
      <Problem error={error} />
      {c && (
        <>
          <div class="one-head">
            <Badge state={STATES[c.decision]}>{DECISION_WORDS[lang.value][c.decision]}</Badge> <code>{c.reason}</code>
          </div>
          {!c.evidence.some(({ reason }) => reason === c.reason) && <p>{reasonWords(c.reason, lang.value)}</p>}
          {c.detail && <p class="problem-detail">{c.detail}</p>}
          {c.evidence.length > 0 && (
            <div>
              <h3>{w.evidence}</h3>
              {c.evidence.map(({ reason, evidence }) => (
                <div key={reason} class="finding">
                  <p>{reasonWords(reason, lang.value)}</p>
                  <Facts>
                    {evidenceOf(evidence, lang.value, clock).map(([name, value]) => (
                      <Fact key={name} label={name}>
                        {value.length > 30 ? <Id value={value} /> : value}
                      </Fact>
                    ))}
                  </Facts>
                </div>
              ))}
            </div>
          )}
          {c.forgotten && <p class="note">{w.forgotten}</p>}
          <Facts>
            <Fact label={w.time}>
              <Time ms={c.decidedMs} />
            </Fact>
            <Fact label={w.gate}>{c.gate ?? '–'}</Fact>
            <Fact label={w.zone}>{c.zone ?? '–'}</Fact>
            <Fact label={w.purpose}>{c.purpose ?? '–'}</Fact>
            <Fact label={w.registration}>
              {c.registration ? (
                <code title={c.registration}>{bareUrn(c.registration)}</code>
              ) : (
                <span class="muted">{w.unproven}</span>
              )}
            </Fact>
            <Fact label={w.pseudonym}>{c.holder ? <Id value={c.holder} /> : '–'}</Fact>
            <Fact label={w.counter}>{number(c.counter)}</Fact>
            <Fact label={w.place}>{c.fix ? `${c.fix.lat.toFixed(5)}, ${c.fix.lon.toFixed(5)}` : '–'}</Fact>
            <Fact label={w.statusAge}>{duration(age)}</Fact>
            <Fact label={w.bundle}>{c.bundleVersion ?? '–'}</Fact>
            <Fact label={w.digest}>
              <Id value={c.digest} />
            </Fact>
            {c.salt && (
              <Fact label={w.salt}>
                <Id value={c.salt} />
              </Fact>
            )}
          </Facts>
          <p class="muted">
            {w.proofWhy} <a href={href('entry', c.index)}>{w.toEntry}</a>
          </p>
          {c.document && (
            <details>
              <summary>{w.document}</summary>
              {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls */}
              <pre class="document" tabIndex={0}>
                {JSON.stringify(c.document, null, 2)}
              </pre>
            </details>
          )}
        </>
      )}
    </Dialog>
  );
}

type Asked = { until: number; stop: AbortController };

/** Asks who is at a gate, and waits. Closing it stops waiting. */
function Ask({ open, gates, onClose }: { open: boolean; gates: readonly GateView[]; onClose: () => void }) {
  const w = useWords(words);
  const [gateName, setGate] = useState('');
  const [wanted, setPurpose] = useState('');
  const [did, setDid] = useState('');
  const [seconds, setSeconds] = useState(String(DEFAULT_WAIT_S));
  const [asked, setAsked] = useState<Asked>();
  const [answer, setAnswer] = useState<CheckView>();
  const [error, setError] = useState<ApiError>();
  const gate = gates.find(({ name }) => name === gateName) ?? gates[0];
  const purpose = gate?.purposes.find((p) => p === wanted) ?? gate?.purposes[0];
  const wait = Number(seconds);
  const isWait = Number.isInteger(wait) && wait >= 1 && wait <= 60;
  const isOpen = useRef(open);
  isOpen.current = open;
  const close = (): void => {
    asked?.stop.abort();
    setAsked(undefined);
    setAnswer(undefined);
    setError(undefined);
    onClose();
  };
  const submit = async (): Promise<void> => {
    if (!gate || !purpose) return;
    const stop = new AbortController();
    setAnswer(undefined);
    setError(undefined);
    setAsked({ until: Date.now() + wait * 1000, stop });
    try {
      const reply = await ask('/checks', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({
          ...{ gate: gate.name, purpose, timeoutMs: wait * 1000 },
          ...(did.trim() === '' ? {} : { did: did.trim() }),
        }),
        signal: stop.signal,
      });
      setAnswer((await reply.json()) as CheckView);
    } catch (wrong) {
      if (!stop.signal.aborted && wrong instanceof ApiError) setError(wrong);
    }
    if (!stop.signal.aborted) setAsked(undefined);
  };
  const isNobody = error?.code === 'CHECK_TIMEOUT';
  return (
    <Dialog
      open={open}
      title={w.askTitle}
      onClose={close}
      onSubmit={() => void submit()}
      submit={w.askDo}
      busy={asked !== undefined}
      disabled={!gate || !isWait}
      error={isNobody ? undefined : error}
    >
      <p>{w.askLead}</p>
      <div class="fields">
        <Field label={w.gate}>
          <select class="input" value={gate?.name} onChange={(e) => setGate(e.currentTarget.value)}>
            {gates.map(({ name, zone }) => (
              <option key={name} value={name}>
                {name} ({zone})
              </option>
            ))}
          </select>
        </Field>
        <Field label={w.purpose}>
          <select class="input" value={purpose} onChange={(e) => setPurpose(e.currentTarget.value)}>
            {gate?.purposes.map((p) => (
              <option key={p} value={p}>
                {p}
              </option>
            ))}
          </select>
        </Field>
        <Field label={w.wait}>
          <input
            class="input"
            type="number"
            min={1}
            max={60}
            value={seconds}
            onInput={(e) => setSeconds(e.currentTarget.value)}
          />
        </Field>
      </div>
      <Field label={w.vehicle} hint={w.vehicleHint}>
        <input class="input" value={did} maxLength={200} onInput={(e) => setDid(e.currentTarget.value)} />
      </Field>
      <div aria-live="polite">
        {asked && (
          <p class="note waiting">
            <Left until={asked.until} />
            <button
              type="button"
              class="button small"
              onClick={() => {
                asked.stop.abort();
                setAsked(undefined);
              }}
            >
              {w.stop}
            </button>
          </p>
        )}
        {isNobody && <Empty title={w.nobody}>{w.nobodyWhy}</Empty>}
        {answer && (
          <section class={`gate-now ${STATES[answer.decision]}`} aria-label={w.answer}>
            <span class="gate-sign" aria-hidden="true">
              {SIGNS[answer.decision]}
            </span>
            <div class="gate-said">
              <p class="gate-decision">{DECISION_WORDS[lang.value][answer.decision]}</p>
              <p>{reasonWords(answer.reason, lang.value)}</p>
              <p class="muted">
                {answer.registration ? bareUrn(answer.registration) : w.unproven} · <Time ms={answer.decidedMs} />
              </p>
            </div>
          </section>
        )}
      </div>
    </Dialog>
  );
}

function Left({ until }: { until: number }) {
  const w = useWords(words);
  const [, tick] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => tick((n) => n + 1), 1000);
    return () => clearInterval(timer);
  }, []);
  return <span>{w.waiting(String(Math.max(0, Math.ceil((until - Date.now()) / 1000))))}</span>;
}
