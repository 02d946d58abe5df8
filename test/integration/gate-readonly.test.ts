import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type GateFixture, gateFixture } from '../support/gate-fixture.ts';
import { refsOf } from '../support/git-fixtures.ts';
import { rawPush } from '../support/raw-push.ts';

const TASK = 'k3f9a';

let fixture: GateFixture;

beforeAll(async () => {
  fixture = await gateFixture();
});
afterAll(() => fixture[Symbol.asyncDispose]());

describe('a task without a gate', () => {
  it('clones and fetches, and its push is refused with a sentence it can act on; nothing moves', async () => {
    const access = await fixture.openTask(TASK, { isReadOnly: true });
    const work = await access.clone();
    await work.commit('kept.txt', 'kept\n');
    const before = await refsOf(fixture.mirror);
    const push = await work.run(['push', 'origin', 'HEAD:refs/heads/x']);
    expect(push.exitCode).not.toBe(0);
    expect(push.stderr).toContain('push nothing');
    expect((await work.run(['fetch', 'origin'])).exitCode).toBe(0);
    expect(await refsOf(fixture.mirror)).toEqual(before);
  });

  it('is not let in by asking for the second half of a push alone', async () => {
    const access = await fixture.openTask('m4g8b', { isReadOnly: true });
    const writable = await fixture.openTask('p5h7c');
    const to = (await refsOf(fixture.mirror)).get('refs/terok/upstream/main') ?? '';
    expect(await rawPush(writable, { ref: 'refs/heads/sly', to })).toContain('ok refs/heads/sly');
    expect(await rawPush(access, { ref: 'refs/heads/sly', to })).toContain('push nothing');
    expect([...(await refsOf(fixture.mirror)).keys()].filter((ref) => ref.endsWith('/sly'))).toEqual([
      'refs/heads/p5h7c/sly',
      'refs/namespaces/p5h7c/refs/heads/sly',
    ]);
  });
});

describe('a branch to start on', () => {
  it('is one of upstream, or an error with the nearest names', async () => {
    const { gate, project } = fixture;
    await gate.sync(project);
    await gate.checkBranch(project, 'main');
    await expect(gate.checkBranch(project, 'mian')).rejects.toMatchObject({
      code: 'NOT_FOUND',
      hint: 'Did you mean "main"?',
    });
    for (const name of ['--upload-pack=x', 'a..b', 'x\n'])
      await expect(gate.checkBranch(project, name)).rejects.toMatchObject({ code: 'INVALID_INPUT' });
  });
});
