import { randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { AgentLab } from '../support/agent-lab.ts';
import { type TestAuthority, testAuthority } from '../support/test-authority.ts';
import { TlsUpstream } from '../support/tls-upstream-server.ts';

const KEYS = {
  gh: `ghp_${randomBytes(18).toString('hex')}`,
  glab: `glpat-${randomBytes(10).toString('hex')}`,
} as const;

let authority: TestAuthority;
let upstream: TlsUpstream;
let lab: AgentLab;
beforeAll(async () => {
  authority = await testAuthority();
  upstream = await TlsUpstream.start(authority);
  upstream.answer = (request, response) => {
    response.setHeader('content-type', 'application/json');
    const isGraph = request.url?.endsWith('/graphql') === true;
    response.end(isGraph ? '{"data":{"viewer":{"login":"ada"}}}' : '{"login":"ada","username":"ada"}');
  };
  lab = await AgentLab.make(authority);
  const agents = path.join(lab.shipped.host.paths.config, 'agents');
  await mkdir(agents, { recursive: true });
  for (const [name, key] of Object.entries(KEYS)) {
    await writeFile(path.join(agents, `${name}.yaml`), `route: { upstream: ${upstream.url} }\n`);
    await lab.shipped.run(['auth', name, '--api-key'], {}, `${key}\n`);
  }
}, 1_500_000);
afterAll(async () => {
  await lab[Symbol.asyncDispose]();
  await upstream[Symbol.asyncDispose]();
  await authority[Symbol.asyncDispose]();
});
beforeEach(() => {
  upstream.seen.length = 0;
});

/** Commands one after the other, as an agent would; what they printed. */
async function run(...commands: readonly string[]): Promise<string> {
  const prompt = commands.map((command) => `run ${command} 2>&1 || echo "exit $?"`).join('\n');
  const done = await lab.run('scripted', prompt);
  const log = await lab.log(done['task']);
  expect({ state: done['state'], log }).toMatchObject({ state: 'completed' });
  await lab.delete(done['task']);
  return log;
}

const asked = () => upstream.seen.map(({ method, url }) => `${method} ${url}`);

describe('gh, with what stands for a token', () => {
  it('reads over the socket of its credential proxy, and GitHub gets the real token (V1)', async () => {
    const log = await run('gh api user --jq .login', `gh api graphql -f query='query { viewer { login } }'`);
    expect({ log, asked: asked() }).toMatchObject({
      log: expect.stringMatching(/ada[\s\S]*viewer/),
      asked: ['GET /user', 'POST /graphql'],
    });
    for (const { headers } of upstream.seen) expect(headers.authorization).toBe(`token ${KEYS.gh}`);
    expect(log).not.toContain(KEYS.gh);
  });

  it('changes nothing that nobody has promoted, and says why (V6)', async () => {
    const log = await run(
      `gh api graphql -f query='mutation { mergePullRequest(input: {pullRequestId: "x"}) { clientMutationId } }'`,
      'gh api -X PUT repos/ada/demo/contents/README.md -f message=m -f content=eA==',
      'gh api -X PUT repos/ada/demo/pulls/1/merge',
      'gh api -X POST repos/ada/demo/pulls/1/reviews -f event=APPROVE',
    );
    expect({ log, asked: asked() }).toMatchObject({ asked: [] });
    expect(log.match(/exit 1/g)).toHaveLength(4);
    expect(log).toMatch(/HTTP 403/);
  });
});

describe('glab, with what stands for a token', () => {
  it('reads through its credential proxy, and GitLab gets the real token; it writes nothing (V1, V6)', async () => {
    const log = await run(
      'glab api user',
      'glab api projects/ada%2Fdemo',
      'glab api -X POST projects/1/merge_requests/1/notes -f body=/merge',
    );
    expect({ log, asked: asked() }).toMatchObject({
      log: expect.stringMatching(/ada[\s\S]*exit 1/),
      asked: ['GET /api/v4/user', 'GET /api/v4/projects/ada%2Fdemo'],
    });
    for (const { headers } of upstream.seen) expect(headers['private-token']).toBe(KEYS.glab);
    expect(log).not.toContain(KEYS.glab);
  });
});
