import { words } from '../words.ts';

export default words({ title: 'Verify' }, { title: '검증' });
