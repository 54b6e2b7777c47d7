import { Page } from '../ui/index.ts';
import { useWords } from '../words.ts';
import table from './entry.words.ts';

export default function Entry() {
  const w = useWords(table);
  return <Page title={w.title} />;
}
