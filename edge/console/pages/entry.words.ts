import { words } from '../words.ts';

export default words({ title: 'Entry' }, { title: '항목' });
