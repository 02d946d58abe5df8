import { describe, expect, it } from 'vitest';
import type { AgentRun, RosterEntry } from '../../../src/runtime/agents/contract.ts';
import { bundledAgents, bundledRoster, plan, settings } from './roster-fixture.ts';

const roster = bundledRoster();
const golden = (name: string): string => `../../golden/agents/${name}`;
const pretty = (value: unknown): string => `${JSON.stringify(value, undefined, 2)}\n`;

/** As where a project has a model server of its own. */
const endpoints = new Map(
  roster
    .filter(isRedirectable)
    .map(({ name }) => [
      name,
      { baseUrl: 'http://localhost:9419', token: 'no-key', kind: 'api_key' } as const,
    ]),
);

function isRedirectable({ kind, phantom }: RosterEntry): boolean {
  return kind === 'agent' && phantom.api_key !== undefined;
}

const everything = settings({
  model: 'some/model-1',
  maxTurns: 7,
  instructions: 'Be kind.\nBe "brief".',
  subagents: [{ name: 'reviewer', fields: { description: 'Reviews', prompt: 'Review.' } }],
});

/** What an endpoint changes: variables, and files that agents read. */
const redirected = (run: AgentRun, before: AgentRun) => ({
  command: run.command,
  environment: changed(run.environment, before.environment),
  phantomEnvironment: run.phantomEnvironment,
  files: changed(
    Object.fromEntries(
      run.files.flatMap(({ mountedAt, content }) => (mountedAt === undefined ? [] : [[mountedAt, content]])),
    ),
    Object.fromEntries(
      before.files.flatMap(({ mountedAt, content }) =>
        mountedAt === undefined ? [] : [[mountedAt, content]],
      ),
    ),
  ),
});

const changed = (after: Readonly<Record<string, string>>, before: Readonly<Record<string, string>>) =>
  Object.fromEntries(Object.entries(after).filter(([key, value]) => before[key] !== value));

const spoken = ({ command, prompt, session, warnings }: AgentRun) => ({ command, prompt, session, warnings });

describe('a run of each agent', () => {
  it.each(bundledAgents().map((agent) => [agent.name, agent] as const))('of %s', async (name, agent) => {
    const fresh = plan(agent, { roster });
    const value = {
      fresh: spoken(fresh),
      environment: fresh.environment,
      everything: spoken(plan(agent, { roster, settings: everything })),
      resumed: spoken(plan(agent, { roster, session: 'ses_0123' })),
      restricted: spoken(plan(agent, { roster, isRestricted: true, settings: everything })),
      interactive: spoken(plan(agent, { roster, prompt: undefined, settings: everything })),
      redirected: redirected(
        plan(agent, { roster, settings: everything, endpoints }),
        plan(agent, { roster, settings: everything }),
      ),
      state: fresh.state,
      firstState: fresh.firstState,
    };
    await expect(pretty(value)).toMatchFileSnapshot(golden(`${name}.json`));
  });
});

describe('the configuration of a container', () => {
  const claude = bundledAgents().find(({ name }) => name === 'claude');
  if (claude === undefined) throw new Error('no claude');
  const listed = (run: AgentRun) =>
    run.files.map(({ path, isExecutable, mountedAt }) =>
      [isExecutable ? 'r-x' : 'r--', path, ...(mountedAt === undefined ? [] : ['→', mountedAt])].join(' '),
    );

  it.each([
    ['unrestricted', false],
    ['restricted', true],
  ])('%s, file by file', async (mode, isRestricted) => {
    const run = plan(claude, { roster, isRestricted, settings: everything });
    const shown = run.files
      .filter(({ path }) => !path.startsWith('bin/'))
      .map(({ path, content }) => `=== ${path}\n${content}${content.endsWith('\n') ? '' : '\n'}`);
    await expect(`${[...listed(run), ...shown].join('\n')}`).toMatchFileSnapshot(golden(`files-${mode}.txt`));
  });

  it('has a wrapper for each', async () => {
    for (const { path, content } of plan(claude, { roster, settings: everything }).files)
      if (path.startsWith('bin/')) await expect(content).toMatchFileSnapshot(golden(`${path}.sh`));
  });
});
