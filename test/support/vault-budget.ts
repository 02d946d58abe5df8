import { ApprovalService } from '../../src/runtime/approvals/approval-service.ts';
import { ApprovalStore } from '../../src/runtime/approvals/approval-store.ts';
import type { StateDatabase } from '../../src/runtime/core/database.ts';
import { ProjectId, TaskId } from '../../src/runtime/core/ids.ts';
import { type Project, ProjectFile } from '../../src/runtime/projects/contract.ts';
import { BudgetKeeper } from '../../src/runtime/vault/tokens/budget-keeper.ts';
import { PriceTable } from '../../src/runtime/vault/tokens/price-table.ts';
import type { TestState } from './state.ts';

export const TASK_A = TaskId.parse('k3f9a');
export const TASK_B = TaskId.parse('k3f9b');

/** A project of which a test says only what matters to it. */
export function vaultProject(settings: Readonly<Record<string, unknown>> = {}, id = 'demo'): Project {
  return {
    id: ProjectId.parse(id),
    file: `/etc/terok-test/projects/${id}/project.yml`,
    directory: `/etc/terok-test/projects/${id}`,
    settings: ProjectFile.parse({ git: { upstream_url: 'https://git.example/x.git' }, ...settings }),
    isRepository: false,
  };
}

/** Rows that tokens and extensions belong to. */
export function insertTasks(database: StateDatabase, ...ids: readonly string[]): void {
  const insert = database.prepare(
    `INSERT INTO tasks (id, project, name, mode, agent, restricted, state, container, base_branch, created_at)
     VALUES (?, 'demo', ?, 'headless', 'claude', 0, 'running', ?, 'main', 'T1')`,
  );
  for (const id of ids) insert.run(id, id, `demo-run-${id}`);
}

/** One dollar a million tokens in, ten out; the dearest is a hundred times that. */
export const TEST_PRICES = new PriceTable({
  vendors: {
    vendor: {
      providers: ['claude'],
      models: { 'plain-*': { input: 1, output: 10 }, 'dear-*': { input: 100, output: 1000 } },
    },
  },
});

export function budgetsOn(
  state: TestState,
  budget: { readonly usd?: number; readonly requests?: number } | undefined,
) {
  const approvals = new ApprovalService({ ...state, store: new ApprovalStore(state) });
  const project = vaultProject(budget === undefined ? {} : { vault: { budget } });
  const budgets = new BudgetKeeper({ ...state, approvals, prices: TEST_PRICES, projectOf: () => project });
  return { approvals, budgets, project };
}
