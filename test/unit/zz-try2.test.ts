import { it } from 'vitest';
import { planRequest } from '../../src/runtime/images/layer-planner.ts';
import { AgentLoader } from '../../src/runtime/agents/agent-loader.ts';
import { imageRequest } from '../support/images.ts';
it('x', async () => {
  const agents = new AgentLoader({ bundled: 'resources/agents', own: '/nonexistent', newSession: () => '' });
  for (let i = 0; i < 5; i++) {
    const t = performance.now(); await agents.roster(); console.log('roster', performance.now() - t);
    const t2 = performance.now(); await planRequest({ agents, resources: 'resources' }, imageRequest({ agents: 'all' })); console.log('plan', performance.now() - t2);
  }
}, 60000);
