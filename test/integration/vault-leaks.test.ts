import { mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AgentLoader } from '../../src/runtime/agents/agent-loader.ts';
import { ApprovalService } from '../../src/runtime/approvals/approval-service.ts';
import { ApprovalStore } from '../../src/runtime/approvals/approval-store.ts';
import { systemClock } from '../../src/runtime/core/clock.ts';
import { CommandError, HostError, PolicyError } from '../../src/runtime/core/errors.ts';
import { HostCommandRunner } from '../../src/runtime/core/exec.ts';
import { silentLogger } from '../../src/runtime/core/log.ts';
import { Secret } from '../../src/runtime/core/secret.ts';
import { HostGit } from '../../src/runtime/gate/host-git.ts';
import { outgoingObjects } from '../../src/runtime/gate/outgoing-objects.ts';
import type { PromoteInput } from '../../src/runtime/review/contract.ts';
import { assertNoLeak } from '../../src/runtime/review/leak-check.ts';
import { ReviewService } from '../../src/runtime/review/review-service.ts';
import { LeakScanner } from '../../src/runtime/vault/scan/leak-scanner-loader.ts';
import { SealedStore } from '../../src/runtime/vault/store/sealed-store.ts';
import { FakeVault } from '../support/fake-vault.ts';
import { type GateFixture, gateFixture, testProject } from '../support/gate-fixture.ts';
import { type GitClient, refsOf } from '../support/git-fixtures.ts';
import { resourcesDir } from '../support/host.ts';
import { type TestState, testState } from '../support/state.ts';

const KEY = 'sk-ant-api03-Qm9ic0tleS0wMTIzNDU2Nzg5';
const PHANTOM = `sk-ant-oat01-terokp${'0123456789abcdef'.repeat(4)}`;

let fixture: GateFixture;
let state: TestState;
let store: SealedStore;
let scanner: LeakScanner;
let work: GitClient;

beforeEach(async () => {
  state = testState();
  fixture = await gateFixture();
  const directory = path.join(fixture.ground.directory, 'state');
  await mkdir(directory, { mode: 0o700 });
  store = new SealedStore({
    file: path.join(directory, 'vault.db'),
    directory,
    runner: new HostCommandRunner({ baseEnv: { PATH: process.env['PATH'] ?? '' } }),
    clock: systemClock,
    log: silentLogger,
  });
  await store.start();
  const agents = new AgentLoader({ bundled: path.join(resourcesDir, 'agents'), own: '/nowhere' });
  scanner = new LeakScanner({ secrets: () => store.secrets(), agents });
  work = await (await fixture.openTask('k3f9a')).clone();
});
afterEach(async () => {
  await store[Symbol.asyncDispose]();
  await fixture[Symbol.asyncDispose]();
  state[Symbol.dispose]();
});

const keep = (): void =>
  void store.put({ provider: 'claude', set: 'default' }, { kind: 'api_key', key: KEY });

describe('what a promotion would publish', () => {
  let mode: 'human' | 'supervisor';
  let approvals: ApprovalService;
  let review: ReviewService;

  beforeEach(() => {
    mode = 'supervisor';
    approvals = new ApprovalService({ ...state, store: new ApprovalStore(state) });
    review = reviewWith({
      status: () => store.status(),
      scanStream: async (chunks) => await scanner.scanStream(chunks),
    });
  });
  afterEach(() => review[Symbol.dispose]());

  function reviewWith(vault: ConstructorParameters<typeof ReviewService>[0]['vault']): ReviewService {
    const project = () =>
      testProject('demo', { git: { upstream_url: fixture.upstream.url }, promotion: { approval: mode } });
    const projects = {
      list: async () => ({ projects: [project()], broken: [] }),
      get: async () => project(),
      forRepository: async () => project(),
      create: async () => project(),
    };
    return new ReviewService({ projects, gate: fixture.gate, approvals, events: state.events, vault });
  }

  async function pushed(branch = 'fix'): Promise<PromoteInput> {
    await work.ok('push', '--quiet', 'origin', `HEAD:refs/heads/${branch}`);
    return { project: 'demo', branch: `k3f9a/${branch}`, head: await work.head(), target: 'next' };
  }
  const upstreamNext = async () => (await refsOf(fixture.upstream.bare)).get('refs/heads/next');
  const refusal = async (input: PromoteInput): Promise<PolicyError> => {
    const error: unknown = await review.promote(input).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    if (!(error instanceof PolicyError)) throw new Error('was not refused', { cause: error });
    expect(`${error.message} ${error.hint} ${error.details}`).not.toContain(KEY);
    expect(JSON.stringify(state.events.forTask('k3f9a'))).not.toContain(KEY);
    expect(await upstreamNext()).toBeUndefined();
    return error;
  };

  it('is let on without a secret, phantoms and all (G11)', async () => {
    keep();
    await work.commit('notes.txt', `our token was ${PHANTOM}`);
    expect(await review.promote(await pushed())).toMatchObject({ outcome: 'promoted' });
  });

  it('is refused with the very secret in a file, and says whose and where (G11)', async () => {
    keep();
    const guilty = await work.commit('src/config.ts', `const key = '${KEY}';\n`);
    const error = await refusal(await pushed());
    expect(error.message).toBe('The change holds a credential of claude; nothing was pushed');
    expect(error.details).toBe(`claude: src/config.ts of commit ${guilty.slice(0, 12)}`);
    expect(state.events.forTask('k3f9a').at(-1)).toMatchObject({
      kind: 'promotion.refused',
      data: { code: 'POLICY_DENIED', reason: error.message },
    });
  });

  it('would have gone upstream without the search', async () => {
    keep();
    await work.commit('src/config.ts', `const key = '${KEY}';\n`);
    approvals = new ApprovalService({ ...state, store: new ApprovalStore(state) });
    const unguarded = reviewWith(new FakeVault());
    const input = await pushed();
    expect(await unguarded.promote(input)).toMatchObject({ outcome: 'promoted' });
    expect(await fixture.upstream.bare.ok('show', 'next:src/config.ts')).toContain(KEY);
    unguarded[Symbol.dispose]();
  });

  it('is refused where one commit added it and a later one took it out again (G11)', async () => {
    keep();
    const guilty = await work.commit('.env', `KEY=${KEY}\n`);
    await work.commit('.env', 'KEY=\n', 'Take the key out');
    expect((await refusal(await pushed())).details).toContain(`.env of commit ${guilty.slice(0, 12)}`);
  });

  it.each([
    ['a message of a commit', async () => await work.commit('x', 'x', `Log in with ${KEY}`), /its message/],
    [
      'the name of a file',
      async () => await work.commit(`${KEY}/${KEY}.txt`, KEY),
      /a file with it in its name of commit/,
    ],
    [
      'a binary file of many megabytes',
      async () => await work.commit('blob.bin', `\0${'\u0001\u0002'.repeat(2_000_000)}${KEY}\0`),
      /blob\.bin/,
    ],
    [
      'base64',
      async () => await work.commit('h', `Basic ${Buffer.from(`user:${KEY}`).toString('base64')}`),
      /: h of/,
    ],
    [
      'a merged side branch',
      async () => {
        await work.ok('checkout', '--quiet', '-b', 'side');
        await work.commit('side.txt', KEY);
        await work.ok('rm', '--quiet', 'side.txt');
        await work.ok('commit', '--quiet', '--message', 'Gone again');
        await work.ok('checkout', '--quiet', 'main');
        await work.commit('main.txt', 'main');
        await work.ok('merge', '--quiet', '--no-edit', 'side');
      },
      /side\.txt/,
    ],
    [
      'a file that its attributes call binary',
      async () => {
        await work.commit('.gitattributes', '* -diff binary\n');
        await work.commit('odd.txt', KEY);
      },
      /odd\.txt/,
    ],
  ])('is refused with it in %s', async (_where, act, place) => {
    keep();
    await act();
    expect((await refusal(await pushed())).details).toMatch(place);
  });

  it('is refused with it in the name of the branch', async () => {
    keep();
    await work.commit('x', 'x');
    await refusal({ ...(await pushed()), target: `for-${KEY}` });
  });

  it('holds nothing against what upstream has already', async () => {
    await fixture.upstream.work.commit('old.txt', KEY);
    await fixture.upstream.work.ok('push', '--quiet', 'origin', 'main');
    await fixture.gate.sync(fixture.project);
    keep();
    await work.ok('fetch', '--quiet', fixture.upstream.url, 'main');
    await work.ok('reset', '--quiet', '--hard', 'FETCH_HEAD');
    await work.commit('new.txt', 'new');
    expect(await review.promote(await pushed())).toMatchObject({ outcome: 'promoted' });
  });

  it('is not put before a person, and is searched again when one approves', async () => {
    mode = 'human';
    await work.commit('src/config.ts', KEY);
    const input = await pushed();
    const parked = await review.promote(input);
    if (parked.outcome !== 'awaiting_approval') throw new Error('was not parked');
    keep();
    await refusal(input);
    await expect(approvals.approve(parked.approval, 'ann')).rejects.toThrow(/holds a credential of claude/);
    expect(await upstreamNext()).toBeUndefined();
  });

  it('is refused while the vault is locked, and not held up by an empty one', async () => {
    keep();
    await store.changeKey({ source: 'passphrase', passphrase: new Secret('correct horse battery') });
    store.lock();
    await work.commit('x', 'x');
    const input = await pushed();
    await expect(review.promote(input)).rejects.toThrow(HostError);
    await expect(review.promote(input)).rejects.toMatchObject({ hint: /terok-mcp vault unlock/ });
    expect(await upstreamNext()).toBeUndefined();
    store.remove({ provider: 'claude', set: 'default' });
    expect(await review.promote(input)).toMatchObject({ outcome: 'promoted' });
  });

  it('is refused where a part of it cannot be read', async () => {
    keep();
    await work.commit('part.txt', 'whatever it was');
    const input = await pushed();
    const blob = await work.head('HEAD:part.txt');
    await rm(path.join(fixture.gate.path(fixture.project), 'objects', blob.slice(0, 2), blob.slice(2)));
    await expect(review.promote(input)).rejects.toThrow(CommandError);
    expect(await upstreamNext()).toBeUndefined();
  });

  it('is refused where there is more of it than is looked through', async () => {
    await work.commit('large.txt', 'x'.repeat(100_000));
    const { head, branch } = await pushed();
    const env = { PATH: process.env['PATH'] ?? '' };
    const home = path.join(fixture.ground.directory, 'home');
    const git = new HostGit({
      host: { env, home, trustingConfig: '/dev/null' },
      runner: new HostCommandRunner({ baseEnv: env }),
    });
    const gitDir = fixture.gate.path(fixture.project);
    const outgoing = (bytes: number) =>
      outgoingObjects({ git, gitDir, limits: { bytes, timeMs: 60_000 } }, head);
    const assert = async (bytes: number) =>
      await assertNoLeak(
        {
          gate: { outgoing: () => outgoing(bytes) },
          vault: {
            status: () => store.status(),
            scanStream: async (chunks) => await scanner.scanStream(chunks),
          },
        },
        { project: fixture.project, branch, head },
      );
    keep();
    await assert(200_000);
    await expect(assert(50_000)).rejects.toThrow(/larger than the 50000 bytes/);
  });

  it('is searched in a time that grows with it, and ends with its caller', async () => {
    keep();
    for (let index = 0; index < 5; index++)
      await work.commit(`big-${index}.txt`, `${index}${'0123456789abcdef\n'.repeat(500_000)}`);
    const input = await pushed();
    const startedMs = performance.now();
    expect(await review.promote(input)).toMatchObject({ outcome: 'promoted' });
    // 42 MB.
    expect(performance.now() - startedMs).toBeLessThan(20_000);
    const ended = fixture.gate.outgoing({ ...input, project: fixture.project }, AbortSignal.abort());
    await expect(ended[Symbol.asyncIterator]().next()).rejects.toThrow();
  });
});

describe('directories of tasks', () => {
  it('with a real credential planted are found, links out of them are not followed (V12)', async () => {
    keep();
    const home = path.join(fixture.ground.directory, 'agent-home');
    await mkdir(path.join(home, '.claude'), { recursive: true });
    const host = path.join(fixture.ground.directory, 'host-key');
    await writeFile(host, KEY);
    await symlink(host, path.join(home, 'link'));
    await writeFile(path.join(home, '.claude/.credentials.json'), JSON.stringify({ accessToken: PHANTOM }));
    const places = [{ task: 'k3f9a', directory: home, agentHome: true }];
    expect(await scanner.scan(places)).toEqual({
      leaks: [],
      skipped: ['links, which are not followed: 1'],
      hasExactMatches: true,
    });
    await writeFile(path.join(home, '.claude/.credentials.json'), JSON.stringify({ accessToken: KEY }));
    await writeFile(path.join(home, 'history.txt'), `export ANTHROPIC_API_KEY=${KEY}`);
    const { leaks } = await scanner.scan(places);
    expect(
      leaks.map(({ kind, provider, path: file }) => [kind, provider, path.basename(file)]).toSorted(),
    ).toEqual([
      ['exact', 'claude', '.credentials.json'],
      ['exact', 'claude', 'history.txt'],
      ['known_file', 'claude', '.credentials.json'],
    ]);
  });
});
