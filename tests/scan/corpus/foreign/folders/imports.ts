import { list } from '@/api/cicd/runs';
import logs from '../../cicd/logs/store';
export * from './ci_workflows';
