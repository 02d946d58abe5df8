import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ApprovalService } from '../../../src/runtime/approvals/approval-service.ts';
import { ApprovalStore } from '../../../src/runtime/approvals/approval-store.ts';
import type { ApprovalRequest } from '../../../src/runtime/approvals/contract.ts';
import { CommandError, ConflictError, NotFoundError } from '../../../src/runtime/core/errors.ts';
import { type TestState, testState } from '../../support/state.ts';

const REQUEST: ApprovalRequest = {
  kind: 'promotion',
  project: 'demo',
  subject: '{"x":1}',
  summary: 'Push it',
  requestedBy: 'client',
  lifetimeMs: 60_000,
};

const serviceOn = (state: TestState) => new ApprovalService({ ...state, store: new ApprovalStore(state) });

describe('parked requests', () => {
  let state: TestState;
  let approvals: ApprovalService;
  let kinds: string[];
  beforeEach(() => {
    state = testState();
    approvals = serviceOn(state);
    kinds = [];
    state.events.subscribe((event) => kinds.push(event.kind));
  });
  afterEach(() => state[Symbol.dispose]());

  it('equal subjects are one request, with one id', () => {
    const first = approvals.request(REQUEST);
    expect(approvals.request(REQUEST)).toEqual(first);
    expect(approvals.request({ ...REQUEST, subject: '{"x":2}' }).id).not.toBe(first.id);
    expect(first.id).toMatch(/^[2-9a-hjkmnp-tv-z]{8}$/);
    expect(approvals.list({ pendingOnly: true })).toHaveLength(2);
    expect(kinds).toEqual(['approval.requested', 'approval.requested']);
  });

  it('approving runs the effect once and settles', async () => {
    const calls: string[] = [];
    approvals.onApproved('promotion', async ({ subject }) => {
      calls.push(subject);
      return 'done';
    });
    const { id } = approvals.request(REQUEST);
    expect(await approvals.approve(id.toUpperCase(), 'ann')).toMatchObject({
      state: 'approved',
      settledBy: 'ann',
      outcome: 'done',
    });
    await expect(approvals.approve(id, 'bob')).rejects.toMatchObject({
      code: 'CONFLICT',
      message: expect.stringContaining('was approved'),
    });
    expect(() => approvals.deny(id, 'bob')).toThrow(ConflictError);
    expect(calls).toEqual(['{"x":1}']);
    expect(kinds).toEqual(['approval.requested', 'approval.approved']);
  });

  it('of two people approving and one denying at the same moment, one approval counts', async () => {
    let finish = (): void => undefined;
    let calls = 0;
    approvals.onApproved('promotion', async () => {
      calls++;
      await new Promise<void>((resolve) => {
        finish = resolve;
      });
      return 'done';
    });
    const { id } = approvals.request(REQUEST);
    const first = approvals.approve(id, 'ann');
    await expect(approvals.approve(id, 'bob')).rejects.toMatchObject({ code: 'CONFLICT' });
    expect(() => approvals.deny(id, 'bob')).toThrow(ConflictError);
    approvals.voidWhere('promotion', () => true, 'gone');
    state.clock.advance(120_000);
    expect(approvals.get(id).state).toBe('pending');
    finish();
    expect(await first).toMatchObject({ state: 'approved', settledBy: 'ann' });
    expect(calls).toBe(1);
  });

  it('an expired request cannot be approved, and the next one is new', async () => {
    approvals.onApproved('promotion', async () => 'done');
    const { id } = approvals.request(REQUEST);
    state.clock.advance(60_000);
    await expect(approvals.approve(id, 'ann')).rejects.toMatchObject({
      code: 'CONFLICT',
      message: expect.stringContaining('has expired'),
    });
    expect(approvals.request(REQUEST).id).not.toBe(id);
    expect(approvals.list().map((approval) => approval.state)).toEqual(['pending', 'expired']);
  });

  it('an effect that finds its subject gone voids the request; one that fails leaves it to be tried again', async () => {
    let failure: Error | undefined = new CommandError('upstream is away');
    approvals.onApproved('promotion', async () => {
      if (failure !== undefined) throw failure;
      return 'done';
    });
    const { id } = approvals.request(REQUEST);
    await expect(approvals.approve(id, 'ann')).rejects.toThrow('upstream is away');
    expect(approvals.get(id).state).toBe('pending');
    failure = new NotFoundError('the branch is gone');
    await expect(approvals.approve(id, 'ann')).rejects.toThrow('the branch is gone');
    expect(approvals.get(id)).toMatchObject({ state: 'void', outcome: 'the branch is gone' });
    failure = undefined;
    await expect(approvals.approve(id, 'ann')).rejects.toMatchObject({ code: 'CONFLICT' });
  });

  it('denying and voiding settle without an effect', () => {
    const { id } = approvals.request(REQUEST);
    expect(approvals.deny(id, 'ann\u001b[31m')).toMatchObject({ state: 'denied', settledBy: 'ann' });
    const other = approvals.request(REQUEST);
    approvals.voidWhere('egress', () => true, 'wrong kind');
    expect(approvals.get(other.id).state).toBe('pending');
    approvals.voidWhere('promotion', ({ subject }) => subject === '{"x":1}', 'the branch moved');
    expect(approvals.get(other.id)).toMatchObject({ state: 'void', outcome: 'the branch moved' });
    expect(() => approvals.get('nonesuch')).toThrow(NotFoundError);
  });

  it('survives the process: what was pending can be approved by the next one, what was settled cannot', async () => {
    const first = approvals;
    first.onApproved('promotion', async () => 'done');
    const settled = first.request(REQUEST).id;
    await first.approve(settled, 'ann');
    // The effect ran but its end was never recorded: as after kill -9.
    const pending = first.request({ ...REQUEST, subject: '{"x":2}' }).id;
    state.database.close();

    state = testState(state.file);
    const second = serviceOn(state);
    second.onApproved('promotion', async () => 'done again');
    await expect(second.approve(settled, 'bob')).rejects.toMatchObject({ code: 'CONFLICT' });
    expect(await second.approve(pending, 'bob')).toMatchObject({ state: 'approved', outcome: 'done again' });
  });
});
