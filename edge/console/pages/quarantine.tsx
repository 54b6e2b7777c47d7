import { Page } from '../ui/index.ts';
import { useWords } from '../words.ts';
import table from './quarantine.words.ts';

export default function Quarantine() {
  const w = useWords(table);
  return <Page title={w.title} />;
}
