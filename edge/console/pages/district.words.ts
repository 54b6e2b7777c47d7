import { words } from '../words.ts';

export default words({ title: 'District' }, { title: '지구' });
