import { rename } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ApprovalService } from '../../src/runtime/approvals/approval-service.ts';
import { ApprovalStore } from '../../src/runtime/approvals/approval-store.ts';
import { NotFoundError } from '../../src/runtime/core/errors.ts';
import type { Project } from '../../src/runtime/projects/contract.ts';
import { ReviewService } from '../../src/runtime/review/review-service.ts';
import { FakeVault } from '../support/fake-vault.ts';
import { type GateFixture, gateFixture, testProject } from '../support/gate-fixture.ts';
import { type GitClient, refsOf } from '../support/git-fixtures.ts';
import { type TestState, testState } from '../support/state.ts';

describe('a promotion as its project wants it', () => {
  let fixture: GateFixture;
  let state: TestState;
  let approvals: ApprovalService;
  let review: ReviewService;
  let work: GitClient;
  let head: string;
  let mode: 'human' | 'supervisor' | 'disabled';
  const input = (more: { readonly head?: string; readonly target?: string } = {}) => ({
    project: 'demo',
    branch: 'k3f9a/fix',
    head,
    target: 'main',
    ...more,
  });

  beforeEach(async () => {
    mode = 'human';
    state = testState();
    fixture = await gateFixture({
      onPush: ({ project, task, updates }) =>
        void state.events.record({ project, task, actor: 'agent', kind: 'gate.pushed', data: { updates } }),
    });
    approvals = new ApprovalService({ ...state, store: new ApprovalStore(state) });
    const project = (): Project =>
      testProject('demo', {
        git: { upstream_url: fixture.upstream.url },
        promotion: { approval: mode, expires_minutes: 60 },
      });
    const projects = {
      list: async () => ({ projects: [project()], broken: [] }),
      get: async (id: string) => {
        if (id !== 'demo') throw new NotFoundError(`No project named "${id}"`);
        return project();
      },
      forRepository: async () => project(),
      create: async () => project(),
    };
    const vault = new FakeVault();
    review = new ReviewService({ projects, gate: fixture.gate, approvals, events: state.events, vault });
    const access = await fixture.openTask('k3f9a');
    work = await access.clone();
    head = await work.commit('fix.txt', 'fix\n', 'Fix it');
    await work.ok('push', '--quiet', 'origin', 'HEAD:refs/heads/fix');
  });
  afterEach(async () => {
    review[Symbol.dispose]();
    await fixture[Symbol.asyncDispose]();
    state[Symbol.dispose]();
  });

  const upstreamMain = async () => (await refsOf(fixture.upstream.bare)).get('refs/heads/main');
  const eventKinds = () => state.events.forTask('k3f9a').map(({ kind, actor }) => `${kind} by ${actor}`);
  async function parked(): Promise<string> {
    const outcome = await review.promote(input());
    if (outcome.outcome !== 'awaiting_approval') throw new Error('was not parked');
    return outcome.approval;
  }

  it('human: it waits, is pushed once approved, and asking again says so', async () => {
    const before = await upstreamMain();
    const id = await parked();
    expect(await parked()).toBe(id);
    expect(await upstreamMain()).toBe(before);
    expect(approvals.get(id).summary).toBe(
      `Push k3f9a/fix (${head.slice(0, 12)}) of demo to main of upstream: "Fix it"`,
    );
    expect(await approvals.approve(id, 'ann')).toMatchObject({
      state: 'approved',
      outcome: expect.stringContaining('pushed'),
    });
    expect(await upstreamMain()).toBe(head);
    expect(await review.promote(input())).toEqual({
      outcome: 'promoted',
      target: 'main',
      head,
      previous: before,
    });
    expect(eventKinds()).toEqual([
      'gate.pushed by agent',
      'promotion.requested by client',
      'promotion.pushed by person',
    ]);
  });

  it('human: an approval counts once. When upstream lost the commit since, a person is asked again', async () => {
    await approvals.approve(await parked(), 'ann');
    await fixture.upstream.bare.ok('update-ref', 'refs/heads/main', `${head}~`);
    expect(await review.promote(input())).toMatchObject({ outcome: 'awaiting_approval' });
    expect(await upstreamMain()).not.toBe(head);
  });

  it('human: a push to the branch voids what was asked about its former commit', async () => {
    const before = await upstreamMain();
    const id = await parked();
    const newer = await work.commit('more.txt', 'more\n');
    await work.ok('push', '--quiet', 'origin', 'HEAD:refs/heads/fix');
    expect(approvals.get(id)).toMatchObject({
      state: 'void',
      outcome: 'the branch moved after it was reviewed',
    });
    await expect(approvals.approve(id, 'ann')).rejects.toMatchObject({ code: 'CONFLICT' });
    await expect(review.promote(input())).rejects.toMatchObject({ code: 'CONFLICT' });
    expect(await upstreamMain()).toBe(before);
    expect(await review.promote(input({ head: newer }))).toMatchObject({ outcome: 'awaiting_approval' });
  });

  it('human: a commit that moved unseen is not pushed by an approval either', async () => {
    const before = await upstreamMain();
    const id = await parked();
    await fixture.mirror.ok('update-ref', 'refs/heads/k3f9a/fix', `${head}~`);
    await expect(approvals.approve(id, 'ann')).rejects.toMatchObject({ code: 'CONFLICT' });
    expect(approvals.get(id).state).toBe('void');
    expect(await upstreamMain()).toBe(before);
  });

  it('human: an upstream that is away leaves the request to be approved later', async () => {
    const id = await parked();
    await rename(fixture.upstream.url, `${fixture.upstream.url}.gone`);
    await expect(approvals.approve(id, 'ann')).rejects.toMatchObject({ code: 'COMMAND_FAILED' });
    expect(approvals.get(id).state).toBe('pending');
    await rename(`${fixture.upstream.url}.gone`, fixture.upstream.url);
    await approvals.approve(id, 'ann');
    expect(await upstreamMain()).toBe(head);
    expect(eventKinds()).toContain('promotion.refused by person');
  });

  it('human: the end of the task voids its requests', async () => {
    const id = await parked();
    state.events.record({ project: 'demo', task: 'k3f9a', actor: 'client', kind: 'task.deleted' });
    expect(approvals.get(id)).toMatchObject({ state: 'void', outcome: 'the task was deleted' });
  });

  it('supervisor: the calling assistant decides', async () => {
    mode = 'supervisor';
    expect(await review.promote(input())).toMatchObject({ outcome: 'promoted', head });
    expect(await upstreamMain()).toBe(head);
    expect(eventKinds().at(-1)).toBe('promotion.pushed by client');
  });

  it('disabled: nobody, not even by an approval given earlier', async () => {
    const id = await parked();
    mode = 'disabled';
    await expect(review.promote(input())).rejects.toMatchObject({
      code: 'POLICY_DENIED',
      hint: expect.stringContaining('promotion.approval'),
    });
    await expect(approvals.approve(id, 'ann')).rejects.toMatchObject({ code: 'POLICY_DENIED' });
    expect(await upstreamMain()).not.toBe(head);
  });
});
