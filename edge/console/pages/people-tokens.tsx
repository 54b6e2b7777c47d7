import { useEffect, useState } from 'preact/hooks';
import type { TokenView } from '../../api/views.ts';
import { get, post } from '../api.ts';
import { useDeed, useQuery } from '../query.ts';
import { type Role, session, signOut } from '../session.ts';
import { Badge, type Column, Dialog, Empty, Field, Loading, Panel, Problem, Table, Time } from '../ui/index.ts';
import { useWords } from '../words.ts';
import { Once } from './once.tsx';
import words from './people.words.ts';

const ROLES: readonly Role[] = ['viewer', 'engineer', 'operator'];
const LIVES = [
  ['hour1', 3600],
  ['hours12', 43_200],
  ['day1', 86_400],
  ['days7', 7 * 86_400],
  ['days30', 30 * 86_400],
  ['days366', 366 * 86_400],
] as const;

/** As POST /session/codes takes it. */
const LONGEST_LINK_S = 30 * 86_400;

export function Tokens() {
  const w = useWords(words);
  const { data, error, loading, reload } = useQuery<{ tokens: TokenView[] }>('/tokens', 30_000);
  const [making, setMaking] = useState<'token' | 'link'>();
  const [revoking, setRevoking] = useState<TokenView>();
  const own = useOwnId();
  const columns: Column<TokenView>[] = [
    { key: 'name', label: w.name, cell: (t) => t.name, sort: (t) => t.name },
    { key: 'role', label: w.role, cell: (t) => w[t.role as Role] ?? t.role, sort: (t) => t.role },
    {
      key: 'state',
      label: w.state,
      cell: (t) =>
        t.revokedMs === null ? <Badge state="good">{w.active}</Badge> : <Badge state="idle">{w.revoked}</Badge>,
      sort: (t) => t.revokedMs ?? 0,
      rank: 2,
    },
    { key: 'ends', label: w.ends, cell: (t) => <Time ms={t.expiresMs} />, sort: (t) => t.expiresMs, rank: 2 },
    {
      key: 'made',
      label: w.made,
      rank: 3,
      cell: (t) => (
        <>
          <Time ms={t.madeMs} />{' '}
          <span class="muted">
            {w.by} {t.madeBy}
          </span>
        </>
      ),
      sort: (t) => t.madeMs,
    },
    {
      key: 'do',
      label: w.todo,
      align: 'end',
      cell: (t) =>
        t.revokedMs === null && (
          <button
            type="button"
            class="button small danger"
            aria-label={`${w.revoke} ${t.name}`}
            onClick={() => setRevoking(t)}
          >
            {w.revoke}
          </button>
        ),
    },
  ];
  return (
    <Panel
      title={w.tokens}
      hint={w.tokensHint}
      flush
      actions={
        <>
          <button type="button" class="button" onClick={() => setMaking('link')}>
            {w.signInLink}
          </button>
          <button type="button" class="button primary" onClick={() => setMaking('token')}>
            {w.makeToken}
          </button>
        </>
      }
    >
      <Problem error={error} retry={reload} />
      {loading && <Loading />}
      {data && (
        <Table
          caption={w.tokens}
          rows={data.tokens}
          columns={columns}
          rowKey={(t) => t.id}
          empty={<Empty title={w.noTokens}>{w.noTokensWhy}</Empty>}
        />
      )}
      <Make
        what={making}
        onClose={() => {
          setMaking(undefined);
          reload();
        }}
      />
      <Revoke
        token={revoking}
        isOwn={revoking !== undefined && revoking.id === own}
        onClose={() => {
          setRevoking(undefined);
          reload();
        }}
      />
    </Panel>
  );
}

/** Of the token of this session. */
function useOwnId(): string | undefined {
  const [id, setId] = useState<string>();
  useEffect(() => {
    get<{ id: string }>('/session')
      .then((own) => setId(own.id))
      .catch(() => undefined); // the page says what its own questions meet
  }, []);
  return id;
}

function Make({ what, onClose }: { what: 'token' | 'link' | undefined; onClose: () => void }) {
  const w = useWords(words);
  const deed = useDeed();
  const [name, setName] = useState('');
  const [role, setRole] = useState<Role>('viewer');
  const [seconds, setSeconds] = useState(43_200);
  const [made, setMade] = useState<string>();
  const close = (): void => {
    setMade(undefined);
    setName('');
    deed.clear();
    onClose();
  };
  const isLink = what === 'link';
  if (what && made !== undefined)
    return (
      <Dialog open title={isLink ? w.signInTitle : w.tokenDone} onClose={close}>
        <Once value={made} why={isLink ? w.signInDone : w.onceWhy} qr={isLink} />
        <p>
          <button type="button" class="button primary" onClick={close}>
            {w.close}
          </button>
        </p>
      </Dialog>
    );
  const submit = (): void => {
    const body = { role, name: name.trim(), seconds };
    void deed.run(async () => {
      if (!isLink) setMade((await post<{ token: string }>('/tokens', body)).token);
      else {
        const { code } = await post<{ code: string }>('/session/codes', body);
        setMade(`${location.origin}/#/sign-in/${code}`);
      }
    });
  };
  return (
    <Dialog
      open={what !== undefined}
      title={isLink ? w.signInTitle : w.makeTokenTitle}
      onClose={close}
      onSubmit={submit}
      submit={isLink ? w.signInDo : w.makeDo}
      busy={deed.busy}
      disabled={name.trim() === ''}
      error={deed.error}
    >
      {isLink && <p>{w.signInLead}</p>}
      <Field label={w.name} hint={w.nameHint}>
        <input class="input" maxLength={100} value={name} onInput={(e) => setName(e.currentTarget.value)} />
      </Field>
      <Field label={w.role} hint={w[`${role}May`]}>
        <select class="input" value={role} onChange={(e) => setRole(e.currentTarget.value as Role)}>
          {ROLES.map((r) => (
            <option key={r} value={r}>
              {w[r]}
            </option>
          ))}
        </select>
      </Field>
      <Field label={w.life}>
        <select class="input" value={seconds} onChange={(e) => setSeconds(Number(e.currentTarget.value))}>
          {LIVES.filter(([, s]) => !isLink || s <= LONGEST_LINK_S).map(([word, s]) => (
            <option key={s} value={s}>
              {w[word]}
            </option>
          ))}
        </select>
      </Field>
    </Dialog>
  );
}

function Revoke(props: { token: TokenView | undefined; isOwn: boolean; onClose: () => void }) {
  const w = useWords(words);
  const { token, isOwn } = props;
  const deed = useDeed();
  const close = (): void => {
    deed.clear();
    props.onClose();
  };
  const submit = async (): Promise<void> => {
    if (!token || !(await deed.run(() => post(`/tokens/${token.id}/revoke`)))) return;
    close();
    if (isOwn && session.value) signOut();
  };
  return (
    <Dialog
      open={token !== undefined}
      title={w.revokeTitle}
      onClose={close}
      onSubmit={() => void submit()}
      submit={w.revokeDo}
      danger
      busy={deed.busy}
      error={deed.error}
    >
      {token && <p>{w.revokeLead(token.name)}</p>}
      {isOwn && <p class="note">{w.revokeOwn}</p>}
    </Dialog>
  );
}
