import { bearer, testsOf } from '../support/vault-ways.ts';

testsOf(
  ['kisski', 'blablador', 'qwen'].map((agent) => ({
    agent,
    how: 'HTTP',
    header: 'authorization',
    value: bearer,
  })),
);
