import { describe, expect, it } from 'vitest';
import { AgentLoader } from '../../../src/runtime/agents/agent-loader.ts';
import { InvalidInputError } from '../../../src/runtime/core/errors.ts';
import type { CredentialInfo, SshKeyInfo } from '../../../src/runtime/vault/contract.ts';
import { type GrantRequest, planGrants } from '../../../src/runtime/vault/grant-plan.ts';
import { rosterEntry } from '../../support/roster.ts';
import { vaultProject } from '../../support/vault-budget.ts';

const { entries } = await new AgentLoader({ bundled: 'resources/agents', own: '/nowhere' }).roster();

const info = (provider: string, more: Partial<CredentialInfo> = {}): CredentialInfo => ({
  provider,
  set: 'default',
  kind: 'api_key',
  version: 1,
  storedAt: 'T1',
  expiresAt: undefined,
  problem: undefined,
  ...more,
});

const SSH_KEY: SshKeyInfo = {
  project: 'demo',
  type: 'ed25519',
  fingerprint: 'SHA256:x',
  publicKey: 'ssh-ed25519 x',
  comment: '',
  createdAt: 'T1',
};

const ALL = [info('claude'), info('codex'), info('gh', { kind: 'pat' }), info('sonar'), info('coderabbit')];

function plan(
  settings: Readonly<Record<string, unknown>> = {},
  given: {
    readonly stored?: readonly CredentialInfo[];
    readonly keys?: readonly SshKeyInfo[];
    readonly state?: 'locked' | 'unlocked';
    readonly mode?: GrantRequest['mode'];
    readonly agent?: string;
    readonly roster?: Parameters<typeof planGrants>[1]['roster'];
  } = {},
) {
  const stored = given.stored ?? ALL;
  const planned = planGrants(
    { project: vaultProject(settings), agent: given.agent ?? 'claude', mode: given.mode ?? 'headless' },
    {
      roster: given.roster ?? { entries, broken: [] },
      store: {
        find: (provider, set) =>
          stored.find((one) => one.provider === provider && one.set === set) ??
          stored.find((one) => one.provider === provider && one.set === 'default'),
        sshKeys: () => given.keys ?? [],
        status: () => ({
          state: given.state ?? 'unlocked',
          keySource: 'file',
          keyPlace: '',
          lockedBecause: undefined,
          credentials: stored.length,
          sshKeys: 0,
        }),
      },
    },
  );
  return { ...planned, names: planned.grants.map(({ provider }) => provider).sort() };
}

describe('what a task is granted', () => {
  it('is for its own agent and for what agents call, in a headless run', () => {
    expect(plan()).toMatchObject({ names: ['claude', 'gh', 'sonar'], warnings: [], hasSshAgent: false });
    expect(plan({}, { agent: 'codex' }).names).toEqual(['codex', 'gh', 'sonar']);
    expect(plan({}, { agent: 'scripted' }).names).toEqual(['gh', 'sonar']);
  });

  it('is for all agents where people start them, never for what runs by itself', () => {
    for (const mode of ['interactive', 'web', 'dev'] as const)
      expect(plan({}, { mode, agent: 'toad' }).names).toEqual(['claude', 'codex', 'gh', 'sonar']);
  });

  it('is for what the project names and no more, in every mode', () => {
    for (const mode of ['headless', 'dev'] as const) {
      expect(plan({ vault: { agents: ['codex'] } }, { mode }).names).toEqual(['codex']);
      expect(plan({ vault: { agents: ['codex', 'codex', 'gh'] } }, { mode }).names).toEqual(['codex', 'gh']);
      expect(plan({ vault: { agents: [] } }, { mode })).toMatchObject({ names: [], warnings: [] });
    }
  });

  it('is a new token each time: 256 bits behind what the program takes for a key', () => {
    const roster = {
      entries: [
        rosterEntry(
          'claude',
          {},
          {
            route: { prefix: 'c', upstream: 'https://x.example', auth: { api_key: { header: 'x' } } },
            phantom: { api_key: { token_prefix: 'sk-ant-' } },
          },
        ),
      ],
      broken: [],
    };
    const tokens = Array.from({ length: 50 }, () => plan({}, { roster }).grants[0]?.token.reveal() ?? '');
    for (const token of tokens) expect(token).toMatch(/^sk-ant-terokp[0-9a-f]{64}$/);
    expect(new Set(tokens).size).toBe(50);
    expect(JSON.stringify(plan())).not.toMatch(/terokp/);
  });

  it("is of the project's own set before that of all", () => {
    const stored = [
      ...ALL,
      info('claude', { set: 'demo', kind: 'oauth' }),
      info('gh', { set: 'other', kind: 'pat' }),
    ];
    expect(plan({}, { stored }).grants).toMatchObject([
      { provider: 'claude', set: 'demo', kind: 'oauth' },
      { provider: 'gh', set: 'default', kind: 'pat' },
      { provider: 'sonar', set: 'default', kind: 'api_key' },
    ]);
  });

  it('says what is missing and what to do, for the agent of the task and for what the project names', () => {
    const none = { stored: [] };
    expect(plan({}, none)).toMatchObject({
      names: [],
      warnings: ['There is no credential for Claude: run "terok-mcp auth claude" on this machine.'],
    });
    expect(plan({}, { ...none, mode: 'dev' }).warnings).toHaveLength(1);
    expect(plan({}, { ...none, agent: 'scripted' }).warnings).toEqual([]);
    expect(plan({ vault: { agents: ['gh', 'codex'] } }, none).warnings).toHaveLength(2);
  });

  it('warns of a kind that the program cannot be given, and of a login that is over', () => {
    const stored = [
      info('claude', { kind: 'pat' }),
      info('codex', { problem: 'Log in again with "terok-mcp auth codex".' }),
    ];
    expect(plan({}, { stored })).toMatchObject({
      names: [],
      warnings: ['Claude cannot be given a personal access token, and that is what is stored for it.'],
    });
    const codex = plan({}, { stored, agent: 'codex' });
    expect(codex.names).toEqual(['codex']);
    expect(codex.warnings).toEqual([
      expect.stringMatching(
        /^The login of .* cannot be renewed\. Log in again with "terok-mcp auth codex"\.$/,
      ),
    ]);
  });

  it('warns where a budget in dollars cannot be kept, since nothing tells what is spent', () => {
    const silent = entries.map((entry) =>
      entry.name === 'claude' && entry.route !== undefined
        ? { ...entry, route: { ...entry.route, usage: undefined } }
        : entry,
    );
    const budget = { vault: { budget: { usd: 5 } } };
    expect(plan(budget).warnings).toEqual([]);
    expect(plan(budget, { roster: { entries: silent, broken: [] } }).warnings).toEqual([
      'What Claude spends cannot be told from its answers, so of its budget only the requests count.',
    ]);
  });

  it('is nothing for agents that speak to the model server of this machine', () => {
    const relay = { relay: { endpoint: 'tcp://127.0.0.1:8090' } };
    expect(plan(relay)).toMatchObject({ names: ['gh', 'sonar'], warnings: [] });
    expect(plan(relay, { stored: [] })).toMatchObject({ names: [], warnings: [] });
    expect(plan({ ...relay, vault: { agents: ['claude', 'gh'] } }).names).toEqual(['gh']);
  });

  it('is planned though the vault is locked, which is told', () => {
    expect(plan({}, { state: 'locked' })).toMatchObject({
      names: ['claude', 'gh', 'sonar'],
      warnings: [expect.stringContaining('terok-mcp vault unlock')],
    });
    expect(plan({ vault: { agents: [] } }, { state: 'locked' }).warnings).toEqual([]);
  });

  it('refuses names that nobody knows, with the nearest', () => {
    const attempt = () => plan({ vault: { agents: ['cluade'] } });
    expect(attempt).toThrow(InvalidInputError);
    expect(attempt).toThrow('vault.agents of "demo" names "cluade"');
    try {
      attempt();
    } catch (error) {
      expect(error).toMatchObject({ hint: expect.stringContaining('Did you mean claude') });
    }
    const roster = { entries: [], broken: [{ name: 'mine', problem: '/x/mine.yaml:3: is wrong' }] };
    expect(() => plan({ vault: { agents: ['mine'] } }, { roster })).toThrow('/x/mine.yaml:3: is wrong');
  });

  it('has an SSH agent where the project has a key and says what for', () => {
    const keys = [SSH_KEY];
    expect(plan({}, { keys })).toMatchObject({
      hasSshAgent: false,
      warnings: [expect.stringContaining('ssh.destinations')],
    });
    expect(plan({ ssh: { destinations: ['git@github.com'] } }, { keys })).toMatchObject({
      hasSshAgent: true,
      warnings: [],
    });
    expect(plan({ ssh: { signatures: true } }, { keys }).hasSshAgent).toBe(true);
    expect(plan({ ssh: { destinations: ['git@github.com'] } }).hasSshAgent).toBe(false);
    const others = [{ ...SSH_KEY, project: 'other' }];
    expect(plan({ ssh: { destinations: ['git@github.com'] } }, { keys: others }).hasSshAgent).toBe(false);
  });
});
