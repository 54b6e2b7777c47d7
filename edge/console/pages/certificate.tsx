import { Page } from '../ui/index.ts';
import { useWords } from '../words.ts';
import table from './certificate.words.ts';

export default function Certificate() {
  const w = useWords(table);
  return <Page title={w.title} />;
}
