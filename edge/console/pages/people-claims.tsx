import { useEffect, useState } from 'preact/hooks';
import type { ClaimView } from '../../api/views.ts';
import { post } from '../api.ts';
import { shortDid } from '../format.ts';
import { useDeed, useQuery } from '../query.ts';
import { href } from '../router.ts';
import {
  Badge,
  type Column,
  Dialog,
  Empty,
  Field,
  Id,
  Loading,
  Panel,
  Problem,
  type State,
  Table,
  Time,
} from '../ui/index.ts';
import { useWords } from '../words.ts';
import { Once } from './once.tsx';
import words from './people.words.ts';

type Wanted = { kind: string; sub: string; label?: string };
type Status = ClaimView['status'] | 'expired';
const STATES: Record<Status, State> = {
  ...{ open: 'info', pending: 'warn', confirmed: 'good', dropped: 'idle', expired: 'idle' },
};
const LIVES = [
  ['hour1', 3600],
  ['day1', 86_400],
  ['days7', 7 * 86_400],
] as const;
/** A device that comes is to be seen soon: somebody stands beside it. */
const EVERY_MS = 3_000;

const wantedOf = ({ wanted }: ClaimView): Wanted => JSON.parse(wanted) as Wanted;
const statusOf = ({ status, expiresMs }: ClaimView): Status =>
  status === 'open' && expiresMs <= Date.now() ? 'expired' : status;

export function Claims() {
  const w = useWords(words);
  const { data, error, loading, reload } = useQuery<{ claims: ClaimView[] }>('/claims', EVERY_MS);
  const [making, setMaking] = useState(false);
  const [doing, setDoing] = useState<{ what: 'confirm' | 'drop'; claim: ClaimView }>();
  const [enrolled, setEnrolled] = useState<string>();
  const columns: Column<ClaimView>[] = [
    { key: 'kind', label: w.kind, cell: (c) => wantedOf(c).kind, sort: (c) => wantedOf(c).kind },
    {
      key: 'sub',
      label: w.sub,
      cell: (c) => (
        <>
          <code>{wantedOf(c).sub}</code> {wantedOf(c).label && <span class="muted">{wantedOf(c).label}</span>}
        </>
      ),
      sort: (c) => wantedOf(c).sub,
    },
    {
      key: 'state',
      label: w.state,
      cell: (c) => <Badge state={STATES[statusOf(c)]}>{w[statusOf(c)]}</Badge>,
      sort: (c) => statusOf(c),
    },
    { key: 'until', label: w.expires, cell: (c) => <Time ms={c.expiresMs} />, sort: (c) => c.expiresMs, rank: 3 },
    { key: 'by', label: w.madeBy, cell: (c) => c.madeBy, rank: 3 },
    {
      key: 'device',
      label: w.device,
      rank: 2,
      cell: (c) =>
        c.did === null ? (
          '–'
        ) : c.status === 'confirmed' ? (
          <a href={href('device', c.did)}>
            <code>{shortDid(c.did)}</code>
          </a>
        ) : (
          <code title={c.did}>{shortDid(c.did)}</code>
        ),
    },
    {
      key: 'do',
      label: w.todo,
      align: 'end',
      cell: (c) => {
        const { sub } = wantedOf(c);
        return (
          <span class="actions end">
            {c.status === 'pending' && (
              <button
                type="button"
                class="button small primary"
                aria-label={`${w.confirm} ${sub}`}
                onClick={() => setDoing({ what: 'confirm', claim: c })}
              >
                {w.confirm}
              </button>
            )}
            {(c.status === 'pending' || statusOf(c) === 'open') && (
              <button
                type="button"
                class="button small"
                aria-label={`${w.dropClaim} ${sub}`}
                onClick={() => setDoing({ what: 'drop', claim: c })}
              >
                {w.dropClaim}
              </button>
            )}
          </span>
        );
      },
    },
  ];
  return (
    <Panel
      title={w.claims}
      hint={w.claimsHint}
      flush
      actions={
        <button type="button" class="button primary" onClick={() => setMaking(true)}>
          {w.makeClaim}
        </button>
      }
    >
      <Problem error={error} retry={reload} />
      {loading && <Loading />}
      {enrolled !== undefined && (
        <p class="note in-flush" role="status">
          {w.confirmDone} <a href={href('device', enrolled)}>{w.toDevice}</a>
        </p>
      )}
      {data && (
        <Table
          caption={w.claims}
          rows={data.claims}
          columns={columns}
          rowKey={(c) => c.id}
          empty={<Empty title={w.noClaims}>{w.noClaimsWhy}</Empty>}
        />
      )}
      <Make
        open={making}
        onClose={() => {
          setMaking(false);
          reload();
        }}
      />
      <Confirm
        claim={doing?.what === 'confirm' ? doing.claim : undefined}
        onClose={() => {
          setDoing(undefined);
          reload();
        }}
        onDone={setEnrolled}
      />
      <Drop
        claim={doing?.what === 'drop' ? doing.claim : undefined}
        onClose={() => {
          setDoing(undefined);
          reload();
        }}
      />
    </Panel>
  );
}

function Make({ open, onClose }: { open: boolean; onClose: () => void }) {
  const w = useWords(words);
  const deed = useDeed();
  const { data } = useQuery<{ kinds: string[] }>(open ? '/profiles' : null);
  const [kind, setKind] = useState('');
  const [text, setText] = useState({ sub: '', label: '', owner: '', capacity: '', source: '' });
  const [seconds, setSeconds] = useState(3600);
  const [code, setCode] = useState<string>();
  const kinds = data?.kinds ?? [];
  const chosen = kinds.includes(kind) ? kind : (kinds.find((k) => k === 'meter') ?? kinds[0] ?? '');
  const sub = text.sub.trim();
  const capacity = text.capacity.trim();
  const close = (): void => {
    setCode(undefined);
    setText({ sub: '', label: '', owner: '', capacity: '', source: '' });
    deed.clear();
    onClose();
  };
  if (open && code !== undefined)
    return (
      <Dialog open title={w.claimDone} onClose={close}>
        <Once value={code} why={w.claimDoneWhy} qr />
        <p>{w.claimNext}</p>
        <p>
          <button type="button" class="button primary" onClick={close}>
            {w.close}
          </button>
        </p>
      </Dialog>
    );
  const submit = (): void => {
    const some = (key: string, value: string): object => (value.trim() === '' ? {} : { [key]: value.trim() });
    const body = {
      ...{ kind: chosen, sub, seconds },
      ...some('label', text.label),
      ...some('owner', text.owner),
      ...some('energySource', text.source),
      ...(capacity === '' ? {} : { capacityW: Number(capacity) }),
    };
    void deed.run(async () => setCode((await post<{ code: string }>('/claims', body)).code));
  };
  const input = (key: keyof typeof text, label: string, hint?: string, maxLength = 256) => (
    <Field label={label} hint={hint}>
      <input
        class="input"
        maxLength={maxLength}
        value={text[key]}
        onInput={(e) => setText({ ...text, [key]: e.currentTarget.value })}
      />
    </Field>
  );
  return (
    <Dialog
      open={open}
      title={w.makeClaimTitle}
      onClose={close}
      onSubmit={submit}
      submit={w.makeDo}
      busy={deed.busy}
      disabled={!/^urn:[\x21-\x7e]+$/.test(sub) || chosen === '' || !/^\d*$/.test(capacity)}
      error={deed.error}
    >
      <Field label={w.kind}>
        <select class="input" value={chosen} onChange={(e) => setKind(e.currentTarget.value)}>
          {kinds.map((k) => (
            <option key={k} value={k}>
              {k}
            </option>
          ))}
        </select>
      </Field>
      {input('sub', w.sub, w.subHint)}
      {input('label', w.label)}
      <div class="fields">
        {input('capacity', w.capacity, w.capacityHint, 13)}
        {input('source', w.source, undefined, 64)}
      </div>
      {input('owner', w.owner)}
      <Field label={w.claimFor}>
        <select class="input" value={seconds} onChange={(e) => setSeconds(Number(e.currentTarget.value))}>
          {LIVES.map(([word, s]) => (
            <option key={s} value={s}>
              {w[word]}
            </option>
          ))}
        </select>
      </Field>
    </Dialog>
  );
}

function Confirm(props: { claim: ClaimView | undefined; onClose: () => void; onDone: (did: string) => void }) {
  const w = useWords(words);
  const { claim } = props;
  const deed = useDeed();
  const [seen, setSeen] = useState('');
  const id = claim?.id;
  useEffect(() => setSeen(''), [id]);
  const close = (): void => {
    deed.clear();
    props.onClose();
  };
  const bare = seen.trim().toUpperCase().replaceAll('-', '');
  const submit = async (): Promise<void> => {
    if (!claim) return;
    let did = '';
    const isDone = await deed.run(async () => {
      did = (await post<{ did: string }>(`/claims/${claim.id}/confirm`, { fingerprint: seen.trim() })).did;
    });
    if (!isDone) return;
    close();
    props.onDone(did);
  };
  const wanted = claim && wantedOf(claim);
  return (
    <Dialog
      open={claim !== undefined}
      title={w.confirmTitle}
      onClose={close}
      onSubmit={() => void submit()}
      submit={w.confirmDo}
      busy={deed.busy}
      disabled={!/^[A-Z2-7]{8}$/.test(bare)}
      error={deed.error}
    >
      {wanted && <p>{w.confirmLead(wanted.kind, wanted.sub)}</p>}
      {claim?.did && (
        <p>
          {w.device}: <Id value={claim.did} />
        </p>
      )}
      <Field label={w.fingerprint} hint={w.fingerprintHint}>
        <input
          class="input secret"
          maxLength={12}
          autocomplete="off"
          spellcheck={false}
          value={seen}
          onInput={(e) => setSeen(e.currentTarget.value)}
        />
      </Field>
    </Dialog>
  );
}

function Drop({ claim, onClose }: { claim: ClaimView | undefined; onClose: () => void }) {
  const w = useWords(words);
  const deed = useDeed();
  const close = (): void => {
    deed.clear();
    onClose();
  };
  const submit = async (): Promise<void> => {
    if (claim && (await deed.run(() => post(`/claims/${claim.id}/drop`)))) close();
  };
  return (
    <Dialog
      open={claim !== undefined}
      title={w.dropTitle}
      onClose={close}
      onSubmit={() => void submit()}
      submit={w.dropDo}
      danger
      busy={deed.busy}
      error={deed.error}
    >
      <p>{w.dropLead}</p>
      {claim && (
        <p>
          <code>{wantedOf(claim).sub}</code>
        </p>
      )}
    </Dialog>
  );
}
