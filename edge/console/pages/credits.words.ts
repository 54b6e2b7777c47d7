import { words } from '../words.ts';

export default words({ title: 'Credits' }, { title: '인증서' });
