import { describe, expect, it } from 'vitest';
import { TaskId } from '../../../src/runtime/core/ids.ts';
import { TaskMode, TaskState } from '../../../src/runtime/tasks/contract.ts';
import { listTools } from '../../../src/server/mcp/tool-listing.ts';
import { catalog } from '../../../src/tools/catalog.ts';
import { toTaskView } from '../../../src/tools/task-view.ts';

const fields = new Map(
  listTools(catalog).map(({ name, inputSchema }) => [name, Object.keys(inputSchema.properties ?? {})]),
);
const nextOf = (mode: TaskMode, state: TaskState): string =>
  toTaskView({
    ...{ id: TaskId.parse('k3f9a'), project: 'demo', name: 'x', mode, agent: 'claude', restricted: false },
    ...{ state, container: 'c', baseBranch: 'main', webPort: undefined, exitCode: undefined },
    ...{ failure: undefined, createdAt: '', startedAt: undefined, finishedAt: undefined },
  }).next;
const cases = TaskMode.options.flatMap((mode) => TaskState.options.map((state) => [mode, state] as const));

describe('what to call next', () => {
  it.each(cases)('of a %s task that is %s names tools and arguments there are', (mode, state) => {
    const next = nextOf(mode, state);
    for (const [, tool = '', args = ''] of next.matchAll(/\b([a-z]+(?:_[a-z]+)+)((?: [a-z_]+=\w+)*)/g)) {
      if (args === '' && !fields.has(tool)) throw new Error(`${tool} is no tool: ${next}`);
      for (const [, argument] of args.matchAll(/ ([a-z_]+)=/g)) expect(fields.get(tool)).toContain(argument);
    }
    // Another prompt is for headless tasks alone; a shell of a person is never started again.
    if (mode !== 'headless') expect(next).not.toContain('follow_up');
    if (mode === 'dev') expect(next).not.toContain('restart_task');
  });
});
