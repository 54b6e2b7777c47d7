/** The frame around each page: its name, the ways to the others, language, theme, and who is signed in. */
import { useEffect } from 'preact/hooks';
import type { HealthView } from '../api/views.ts';
import { post, reachable } from './api.ts';
import table from './main.words.ts';
import { PAGES } from './pages/pages.ts';
import { useQuery } from './query.ts';
import { href } from './router.ts';
import { may, session, signOut } from './session.ts';
import { setTheme, type Theme, theme } from './theme.ts';
import { Icon } from './ui/icon.tsx';
import { Segments } from './ui/small.tsx';
import { type Lang, lang, setLang, useWords } from './words.ts';

/** So many stand in the bar of a phone; the others are behind its last button. */
const FEW = 4;
const HEALTH_MS = 10_000;

export function Nav(props: { current: string; whole?: boolean; onMore?: () => void; onGone?: () => void }) {
  const w = useWords(table);
  const rows = Object.entries(PAGES).filter(
    ([, row]) => row.icon && (session.value ? !row.role || may(row.role) : row.open),
  );
  return (
    <nav class={props.whole ? 'nav whole' : 'nav'} aria-label={w.nav}>
      <ul>
        {rows.map(([name, { icon }], i) => (
          <li key={name} class={i >= FEW ? 'beyond' : ''}>
            <a href={href(name)} aria-current={name === props.current ? 'page' : undefined} onClick={props.onGone}>
              {icon && <Icon name={icon} />}
              <span>{w[name as 'now']}</span>
            </a>
          </li>
        ))}
        {!props.whole && (
          <li class="more">
            <button type="button" onClick={props.onMore}>
              <Icon name="more" />
              <span>{w.more}</span>
            </button>
          </li>
        )}
      </ul>
      {!props.whole && (
        <div class="nav-foot">
          <Controls />
        </div>
      )}
    </nav>
  );
}

export function TopBar() {
  const w = useWords(table);
  const { data } = useQuery<HealthView>('/health', HEALTH_MS);
  useEffect(() => {
    if (data) document.documentElement.dataset.version = data.version;
  }, [data]);
  return (
    <header class="top">
      <a class="brand" href={href('now')}>
        <img src="icon.svg" alt="" width="28" height="28" />
        <span>Sejong Edge</span>
      </a>
      <span class="origin" title={data?.did}>
        {data?.origin ?? ''}
      </span>
      <span class={`pulse ${reachable.value ? 'good' : 'bad'}`} role="status">
        {reachable.value ? w.live : w.away}
      </span>
    </header>
  );
}

/** The token is good for nothing from then on. Where the gateway cannot be asked, it is at least forgotten here. */
async function leave(): Promise<void> {
  await post('/session/end').catch(() => undefined);
  signOut();
}

/** Language, theme, and the way out. */
export function Controls() {
  const w = useWords(table);
  const who = session.value;
  return (
    <div class="controls">
      <Segments<Lang>
        label={w.language}
        value={lang.value}
        options={[
          { value: 'ko', label: <span lang="ko">한국어</span> },
          { value: 'en', label: <span lang="en">English</span> },
        ]}
        onChange={setLang}
      />
      <Segments<Theme>
        label={w.theme}
        value={theme.value}
        options={[
          { value: 'auto', label: w.auto },
          { value: 'light', label: w.light },
          { value: 'dark', label: w.dark },
        ]}
        onChange={setTheme}
      />
      {who ? (
        <div class="who">
          <span class="who-name" title={who.name}>
            {who.name} <small>{w[who.role]}</small>
          </span>
          <button type="button" class="button quiet small" onClick={() => void leave()}>
            <Icon name="out" size={16} />
            {w.signOut}
          </button>
        </div>
      ) : null}
    </div>
  );
}
