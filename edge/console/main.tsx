/** The console: one page, built by esbuild (edge/console-build.ts), served at `/`. */
import './style.css'; // first: what pages say of themselves goes over it
import { render } from 'preact';
import { useLayoutEffect, useState } from 'preact/hooks';
import { reachable } from './api.ts';
import { Controls } from './controls.tsx';
import words from './main.words.ts';
import { Nav, TopBar } from './nav.tsx';
import { PAGES } from './pages/pages.ts';
import { depth, href, route } from './router.ts';
import { may, session } from './session.ts';
import { SignIn } from './sign-in.tsx';
import { Dialog, Empty, Page } from './ui/index.ts';
import { useWords } from './words.ts';

function App() {
  const w = useWords(words);
  const [more, setMore] = useState(false);
  const { page: name, params } = route.value;
  const row = PAGES[name];
  const key = [name, ...params].join('/');
  useLayoutEffect(() => scrollTo(0, depth()), [key]);
  if (!session.value && !row?.open)
    return (
      <>
        <SignIn />
        <footer class="corner">
          <Controls />
        </footer>
      </>
    );
  const Shown = row?.page;
  const allowed = !row?.role || may(row.role);
  return (
    <div class="shell">
      <button type="button" class="skip" onClick={() => document.getElementById('content')?.focus()}>
        {w.skip}
      </button>
      <TopBar />
      <Nav current={row?.under ?? name} onMore={() => setMore(true)} />
      <main id="content" tabIndex={-1}>
        {!reachable.value && (
          <p class="away" role="status">
            <span aria-hidden="true">✕ </span>
            {w.away}
          </p>
        )}
        {Shown && allowed ? (
          <Shown key={key} />
        ) : Shown && row.role ? (
          <Page title={w[name as 'people'] ?? name}>
            <Empty title={w.roleMissing(w[row.role])}>{w.roleMissingWhy}</Empty>
          </Page>
        ) : (
          <Page title={w.unknown}>
            <Empty title={w.unknown}>
              {w.unknownWhy} <a href={href('now')}>{w.toNow}</a>
            </Empty>
          </Page>
        )}
      </main>
      <Dialog open={more} title={w.more} onClose={() => setMore(false)}>
        <Nav current={row?.under ?? name} whole onGone={() => setMore(false)} />
        <Controls />
      </Dialog>
    </div>
  );
}

render(<App />, document.getElementById('app') as HTMLElement);
