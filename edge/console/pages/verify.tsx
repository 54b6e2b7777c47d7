/** Checks files, here in the page; and gives the page itself away as a file. */
import { useState } from 'preact/hooks';
import { save as saveFile } from '../download.ts';
import { Page } from '../ui/index.ts';
import { toSave } from '../verify/trust.ts';
import table from '../verify/verify.words.ts';
import { Workbench } from '../verify/workbench.tsx';
import { useWords } from '../words.ts';

export default function Verify() {
  const w = useWords(table);
  return (
    <Page title={w.title} lead={w.lead} actions={<Save />}>
      <Workbench />
    </Page>
  );
}

function Save() {
  const w = useWords(table);
  const [said, say] = useState('');
  const save = async (): Promise<void> => {
    try {
      const answer = await fetch('verify.html');
      if (!answer.ok) throw new Error(String(answer.status));
      saveFile(new Blob([withTrust(await answer.text())], { type: 'text/html' }), 'verify.html');
      say(w.saved);
    } catch {
      say(w.saveFails);
    }
  };
  return (
    <div class="save">
      <button type="button" class="button" title={w.saveHint} onClick={() => void save()}>
        {w.save}
      </button>
      <p class="hint muted" role="status">
        {said}
      </p>
    </div>
  );
}

/** What stands in the fields goes with the file, as data that no browser runs. */
const withTrust = (html: string): string =>
  html.replace(
    '<body>',
    () =>
      `<body><script type="application/json" id="trust">${JSON.stringify(toSave()).replaceAll('<', '\\u003c')}</script>`,
  );
