import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ApprovalService } from '../../../../src/runtime/approvals/approval-service.ts';
import { ApprovalStore } from '../../../../src/runtime/approvals/approval-store.ts';
import { openDatabase } from '../../../../src/runtime/core/database.ts';
import type { RecordedEvent } from '../../../../src/runtime/core/event-log.ts';
import type { Usage } from '../../../../src/runtime/vault/parts.ts';
import { BudgetKeeper } from '../../../../src/runtime/vault/tokens/budget-keeper.ts';
import { compileProgram } from '../../../support/compiled-program.ts';
import { type TestState, testState } from '../../../support/state.ts';
import { budgetsOn, insertTasks, TASK_A, TASK_B, TEST_PRICES } from '../../../support/vault-budget.ts';

const CLAUDE = { provider: 'claude', set: 'default' };
const usage = (outputTokens: number, model = 'plain-1'): Usage => ({
  model,
  inputTokens: 0,
  outputTokens,
  cacheReadTokens: 0,
  cacheWriteTokens: 0,
});
/** By TEST_PRICES. */
const ONE_DOLLAR = usage(100_000);

describe('budgets of tasks', () => {
  let state: TestState;
  let exceeded: RecordedEvent[];
  beforeEach(() => {
    state = testState();
    insertTasks(state.database, TASK_A, TASK_B);
    exceeded = [];
    state.events.subscribe((event) => {
      if (event.kind === 'budget.exceeded') exceeded.push(event);
    });
  });
  afterEach(() => state[Symbol.dispose]());

  it('without a limit only count', () => {
    const { budgets, approvals } = budgetsOn(state, undefined);
    for (let index = 0; index < 1000; index++) expect(budgets.admit(TASK_A, CLAUDE)).toBeUndefined();
    expect(
      budgets.spend(TASK_A, CLAUDE, {
        ...ONE_DOLLAR,
        inputTokens: 5,
        cacheReadTokens: 6,
        cacheWriteTokens: 7,
      }),
    ).toBeCloseTo(1.000018);
    budgets.admit(TASK_B, { provider: 'claude', set: 'demo' });
    expect(budgets.used('claude', 'default')).toEqual({
      requests: 1000,
      inputTokens: 18,
      outputTokens: 100_000,
      costUsd: expect.closeTo(1.000018),
      lastUsedAt: '2030-01-01T00:00:00.000Z',
    });
    expect(budgets.used('gh', 'default')).toEqual({
      requests: 0,
      inputTokens: 0,
      outputTokens: 0,
      costUsd: 0,
      lastUsedAt: undefined,
    });
    expect(approvals.list()).toEqual([]);
  });

  it('of requests let through exactly so many, however many come at once', () => {
    const { budgets } = budgetsOn(state, { requests: 20 });
    const answers = Array.from({ length: 200 }, () => budgets.admit(TASK_A, CLAUDE));
    expect(answers.filter((answer) => answer === undefined)).toHaveLength(20);
    expect(budgets.used('claude', 'default').requests).toBe(20);
    expect(budgets.admit(TASK_B, CLAUDE)).toBeUndefined();
  });

  it('are over all credentials of a task, so that changing them gives nothing', () => {
    const { budgets } = budgetsOn(state, { requests: 2 });
    budgets.admit(TASK_A, CLAUDE);
    budgets.admit(TASK_A, { provider: 'gh', set: 'demo' });
    expect(budgets.admit(TASK_A, { provider: 'codex', set: 'default' })).toContain('2 of 2 requests');
  });

  it('of dollars overshoot by what is under way and no more', () => {
    const { budgets } = budgetsOn(state, { usd: 2 });
    for (let index = 0; index < 5; index++) expect(budgets.admit(TASK_A, CLAUDE)).toBeUndefined();
    for (let index = 0; index < 5; index++) budgets.spend(TASK_A, CLAUDE, ONE_DOLLAR);
    expect(budgets.admit(TASK_A, CLAUDE)).toContain('5.00 of 2.00 US dollars');
    expect(budgets.used('claude', 'default')).toMatchObject({ requests: 5, costUsd: 5 });
  });

  it('used up are told to the agent, raise one event and one approval, and go on at once when it is given', async () => {
    const { budgets, approvals } = budgetsOn(state, { requests: 1, usd: 4 });
    budgets.admit(TASK_A, CLAUDE);
    const answers = new Set(Array.from({ length: 50 }, () => budgets.admit(TASK_A, CLAUDE)));
    const [approval] = approvals.list({ pendingOnly: true });
    expect(approval).toMatchObject({ kind: 'budget', subject: TASK_A, project: 'demo' });
    expect(approval?.summary).toBe(
      'Task k3f9a of demo has used up its budget (0.00 of 4.00 US dollars, 1 of 1 requests): give it 4.00 US dollars and 1 requests more',
    );
    expect([...answers]).toEqual([
      `This task has used up its budget (0.00 of 4.00 US dollars, 1 of 1 requests). A person was asked for more (approval ${approval?.id}): wait until it is given, then try again.`,
    ]);
    expect(exceeded).toHaveLength(1);
    expect(exceeded[0]).toMatchObject({
      task: TASK_A,
      project: 'demo',
      actor: 'system',
      data: { approval: approval?.id },
    });
    expect(approvals.list()).toHaveLength(1);
    await approvals.approve(approval?.id ?? '', 'ann');
    expect(budgets.admit(TASK_A, CLAUDE)).toBeUndefined();
    // The amount again, not for ever: the next breach is another question.
    expect(budgets.admit(TASK_A, CLAUDE)).toContain('2 of 2 requests');
    expect(exceeded).toHaveLength(2);
    expect(approvals.list({ pendingOnly: true })).toHaveLength(1);
  });

  it('stay closed after a denial, across restarts, and nobody is asked again', () => {
    const { budgets, approvals } = budgetsOn(state, { requests: 1 });
    budgets.admit(TASK_A, CLAUDE);
    budgets.admit(TASK_A, CLAUDE);
    approvals.deny(approvals.list()[0]?.id ?? '', 'ann');
    state.clock.advance(3_000);
    expect(budgets.admit(TASK_A, CLAUDE)).toContain('refused');
    budgets[Symbol.dispose]();
    const next = budgetsOn(state, { requests: 1 });
    expect(next.budgets.admit(TASK_A, CLAUDE)).toContain('refused');
    expect(next.approvals.list()).toHaveLength(1);
    expect(exceeded).toHaveLength(1);
    // A person who changed their mind says so in project.yml.
    const raised = budgetsOn(state, { requests: 2 });
    expect(raised.budgets.admit(TASK_A, CLAUDE)).toBeUndefined();
    expect(raised.budgets.admit(TASK_A, CLAUDE)).toContain('A person was asked');
  });

  it('ask again when nobody answered in time', () => {
    const { budgets, approvals } = budgetsOn(state, { requests: 1 });
    budgets.admit(TASK_A, CLAUDE);
    budgets.admit(TASK_A, CLAUDE);
    state.clock.advance(25 * 3600_000);
    expect(budgets.admit(TASK_A, CLAUDE)).toContain('A person was asked');
    expect(approvals.list().map((approval) => approval.state)).toEqual(['pending', 'expired']);
  });

  it('remember what was spent and given across restarts', async () => {
    const first = budgetsOn(state, { requests: 2 });
    first.budgets.admit(TASK_A, CLAUDE);
    first.budgets.admit(TASK_A, CLAUDE);
    first.budgets.admit(TASK_A, CLAUDE);
    first.budgets[Symbol.dispose]();
    const second = budgetsOn(state, { requests: 2 });
    expect(second.budgets.admit(TASK_A, CLAUDE)).toContain('2 of 2');
    // Pending since before the restart: the same request, no second event.
    expect(exceeded).toHaveLength(1);
    await second.approvals.approve(second.approvals.list()[0]?.id ?? '', 'ann');
    expect(second.budgets.admit(TASK_A, CLAUDE)).toBeUndefined();
    second.budgets[Symbol.dispose]();
    const third = budgetsOn(state, { requests: 2 });
    expect(third.budgets.admit(TASK_A, CLAUDE)).toBeUndefined();
    expect(third.budgets.admit(TASK_A, CLAUDE)).toContain('4 of 4');
  });

  it('give the amount once, though the approval is carried out twice around a crash', async () => {
    const first = budgetsOn(state, { requests: 1 });
    first.budgets.admit(TASK_A, CLAUDE);
    first.budgets.admit(TASK_A, CLAUDE);
    first.budgets[Symbol.dispose]();
    const id = first.approvals.list()[0]?.id ?? '';
    await first.approvals.approve(id, 'ann');
    // As if it had not been settled before the crash.
    state.database.exec("UPDATE approvals SET state = 'pending', settled_at = NULL");
    const second = budgetsOn(state, { requests: 1 });
    await second.approvals.approve(id, 'ann');
    expect(second.budgets.admit(TASK_A, CLAUDE)).toBeUndefined();
    expect(second.budgets.admit(TASK_A, CLAUDE)).toContain('2 of 2');
  });

  it('take an unknown model for the dearest where there is a limit in dollars, and for one of no price otherwise', () => {
    const limited = budgetsOn(state, { usd: 50 });
    expect(limited.budgets.spend(TASK_A, CLAUDE, usage(100_000, 'new-model'))).toBe(100);
    expect(limited.budgets.spend(TASK_A, CLAUDE, { ...ONE_DOLLAR, model: undefined })).toBe(100);
    expect(limited.budgets.admit(TASK_A, CLAUDE)).toContain('used up');
    limited.budgets[Symbol.dispose]();
    const free = budgetsOn(state, undefined);
    expect(free.budgets.spend(TASK_B, CLAUDE, usage(100_000, 'new-model'))).toBeUndefined();
    expect(free.budgets.used('claude', 'default')).toMatchObject({ outputTokens: 300_000, costUsd: 200 });
  });

  it('are not given back by an upstream that tells of less than nothing', () => {
    const { budgets } = budgetsOn(state, { usd: 1 });
    budgets.spend(TASK_A, CLAUDE, ONE_DOLLAR);
    for (const tokens of [-1e15, Number.NaN, Number.NEGATIVE_INFINITY, -0.5])
      expect(budgets.spend(TASK_A, CLAUDE, usage(tokens))).toBe(0);
    expect(budgets.admit(TASK_A, CLAUDE)).toContain('used up');
    // Nor do they break the sums.
    expect(budgets.spend(TASK_A, CLAUDE, usage(Number.POSITIVE_INFINITY))).toBe(10_000);
    expect(budgets.spend(TASK_A, CLAUDE, usage(1.5))).toBeCloseTo(0.00001);
    expect(budgets.used('claude', 'default').outputTokens).toBe(1_000_100_001);
  });

  it('refuse what belongs to no task that is served', () => {
    const approvals = new ApprovalService({ ...state, store: new ApprovalStore(state) });
    const lost = new BudgetKeeper({ ...state, approvals, prices: TEST_PRICES, projectOf: () => undefined });
    expect(lost.admit(TASK_A, CLAUDE)).toContain('has ended');
  });

  it('void their approval when the task is deleted, and what it spent still counts', () => {
    const { budgets, approvals } = budgetsOn(state, { requests: 1 });
    budgets.admit(TASK_A, CLAUDE);
    budgets.admit(TASK_A, CLAUDE);
    state.database.exec("DELETE FROM tasks WHERE id = 'k3f9a'");
    state.events.record({ project: 'demo', task: TASK_A, actor: 'client', kind: 'task.deleted' });
    expect(approvals.list()[0]).toMatchObject({ state: 'void', outcome: 'the task was deleted' });
    expect(budgets.used('claude', 'default').requests).toBe(1);
  });

  it('cannot be extended for a task that has gone: the approval is void', async () => {
    const { budgets, approvals } = budgetsOn(state, { requests: 1 });
    budgets.admit(TASK_A, CLAUDE);
    budgets.admit(TASK_A, CLAUDE);
    state.database.exec("DELETE FROM tasks WHERE id = 'k3f9a'");
    const { id } = approvals.list()[0] ?? { id: '' };
    await expect(approvals.approve(id, 'ann')).rejects.toThrow('has gone');
    expect(approvals.get(id).state).toBe('void');
  });

  it('are written a moment later by themselves, without waiting for the disk, and at the end', async () => {
    const { budgets } = budgetsOn(state, undefined);
    const written = () => {
      const other = openDatabase(state.file);
      const { n } = Object(other.prepare('SELECT total(requests) AS n FROM credential_use').get());
      other.close();
      return n;
    };
    for (let index = 0; index < 500; index++) budgets.admit(TASK_A, CLAUDE);
    expect(written()).toBe(0);
    await expect.poll(written, { timeout: 3_000 }).toBe(500);
    expect(state.database.pragma('synchronous', { simple: true })).toBe(2);
    budgets.admit(TASK_A, CLAUDE);
    budgets[Symbol.dispose]();
    expect(written()).toBe(501);
  });

  it('keep what was spent when the process is killed a moment later', async () => {
    const support = await compileProgram();
    const program = path.join(support, '../../src/runtime/vault/tokens/credential-use.js');
    const database = path.join(support, '../../src/runtime/core/database.js');
    const script = `
      import { CredentialUseBook } from ${JSON.stringify(program)};
      import { openDatabase } from ${JSON.stringify(database)};
      const book = new CredentialUseBook({
        database: openDatabase(${JSON.stringify(state.file)}),
        clock: { now: () => new Date() },
      });
      for (let n = 0; n < 700; n++) book.add('k3f9a', { provider: 'claude', set: 'default' }, { requests: 1, costUsd: 0.01 });
      setTimeout(() => process.kill(process.pid, 'SIGKILL'), 500);`;
    const writer = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: 'inherit' });
    expect(await once(writer, 'exit')).toEqual([null, 'SIGKILL']);
    const { budgets } = budgetsOn(state, { usd: 7 });
    expect(budgets.used('claude', 'default')).toMatchObject({ requests: 700, costUsd: expect.closeTo(7) });
  });

  it('keep what a full disk did not take, and write it when it can be', () => {
    const { budgets } = budgetsOn(state, { requests: 3 });
    state.database.exec(
      "CREATE TRIGGER full BEFORE INSERT ON credential_use BEGIN SELECT raise(ABORT, 'disk'); END",
    );
    budgets.admit(TASK_A, CLAUDE);
    expect(() => budgets.used('claude', 'default')).toThrow('disk');
    expect(state.database.pragma('synchronous', { simple: true })).toBe(2);
    budgets.admit(TASK_A, CLAUDE);
    state.database.exec('DROP TRIGGER full');
    budgets.admit(TASK_A, CLAUDE);
    expect(budgets.used('claude', 'default').requests).toBe(3);
    expect(budgets.admit(TASK_A, CLAUDE)).toContain('3 of 3');
  });
});
