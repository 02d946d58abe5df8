import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { newTaskId, ProjectId, TaskId } from '../../../src/runtime/core/ids.ts';
import { Secret } from '../../../src/runtime/core/secret.ts';

describe('ids', () => {
  it('of tasks are valid, and never look like a commit', () => {
    for (let count = 0; count < 1000; count += 1) {
      const id = newTaskId();
      expect(TaskId.safeParse(id).success).toBe(true);
      expect(/^[0-9a-f]+$/.test(id)).toBe(false);
    }
  });

  it.each(['', 'Upper', '-dash', '../x', 'a/b', 'default', 'x'.repeat(64)])('of projects refuse %j', (id) => {
    expect(ProjectId.safeParse(id).success).toBe(false);
  });
});

describe('a secret', () => {
  it('never prints', () => {
    const secret = new Secret('hunter2');
    expect(
      `${secret} ${JSON.stringify({ secret })} ${inspect({ secret })} ${inspect(secret, { showHidden: true })}`,
    ).not.toContain('hunter2');
    expect(secret.reveal()).toBe('hunter2');
  });
});
