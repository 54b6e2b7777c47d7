import { Page } from '../ui/index.ts';
import { useWords } from '../words.ts';
import table from './verify.words.ts';

export default function Verify() {
  const w = useWords(table);
  return <Page title={w.title} />;
}
