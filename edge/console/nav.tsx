/** The frame around each page: its name, the ways to the others, language, theme, and who is signed in. */
import { useEffect } from 'preact/hooks';
import type { HealthView } from '../api/views.ts';
import { reachable } from './api.ts';
import { Controls } from './controls.tsx';
import table from './main.words.ts';
import { PAGES } from './pages/pages.ts';
import { useQuery } from './query.ts';
import { href } from './router.ts';
import { may, session } from './session.ts';
import { Icon } from './ui/icon.tsx';
import { vitals } from './vitals.ts';
import { useWords } from './words.ts';

/** So many stand in the bar of a phone; the others are behind its last button. */
const FEW = 4;
const HEALTH_MS = 10_000;

export function Nav(props: { current: string; whole?: boolean; onMore?: () => void; onGone?: () => void }) {
  const w = useWords(table);
  const alarms = vitals.value.at(-1)?.openAlarms ?? 0;
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
              {name === 'now' && alarms > 0 && (
                <span class="nav-count">
                  <span aria-hidden="true">{alarms}</span>
                  <span class="hidden">{w.alarms(alarms)}</span>
                </span>
              )}
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
