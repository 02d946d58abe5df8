import { bearer, testsOf, WEBSOCKET } from '../support/vault-ways.ts';

// Those of the roster that are agents of another name or one more API are in a full run.
testsOf([
  { agent: 'claude', how: 'HTTP', header: 'x-api-key', value: (key) => key },
  { agent: 'codex', how: 'HTTP', header: 'authorization', value: bearer },
  { agent: 'codex', how: 'a websocket', header: 'authorization', value: bearer, roster: WEBSOCKET },
  { agent: 'opencode', how: 'HTTP', header: 'authorization', value: bearer },
]);
