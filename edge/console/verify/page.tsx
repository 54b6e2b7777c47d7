/** verify.html: the workbench alone, in one file that opens from a disk. */
import { render } from 'preact';
import { Controls } from '../controls.tsx';
import { Page } from '../ui/page.tsx';
import '../style.css';
import { useWords } from '../words.ts';
import table from './verify.words.ts';
import { Workbench } from './workbench.tsx';

function Alone() {
  const w = useWords(table);
  return (
    <>
      <header class="alone-head">
        <strong>Sejong Edge</strong>
        <Controls />
      </header>
      <main>
        <Page title={w.title} lead={w.lead}>
          <Workbench />
        </Page>
      </main>
    </>
  );
}

render(<Alone />, document.getElementById('app') as HTMLElement);
