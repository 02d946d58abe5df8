import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LABEL } from '../../src/runtime/engine/contract.ts';
import type { ImageRequest, ReadyImages } from '../../src/runtime/images/contract.ts';
import { podmanEngine } from '../support/host.ts';
import { imageBuilder, imageRequest, inside, paths, podman, recordingRunner } from '../support/images.ts';

const engine = podmanEngine(paths);
const quiet = (): void => undefined;
/** A project that no other test and no person has. */
const ID = `t${process.pid}x`;
const L2 = `localhost/${ID}:l2-cli`;

let images: ReadyImages;
let work: string;
let own: string;

beforeAll(async () => {
  images = await imageBuilder().ensure(imageRequest(), quiet);
  work = await mkdtemp(path.join(os.tmpdir(), 'images-'));
  own = path.join(work, 'agents');
  await mkdir(own);
}, 600_000);

afterAll(async () => {
  const mine = (await podman('images', '--format={{.Repository}}:{{.Tag}}')).split('\n');
  for (const tag of mine.filter((name) => name.includes(`/${ID}`) || name.includes('-own')))
    await podman('rmi', '--force', tag);
  await rm(work, { recursive: true, force: true });
});

const project = (snippet: string, id = ID): ImageRequest =>
  imageRequest({ user_snippet_inline: snippet }, { id, directory: work });
const idOf = async (image: string): Promise<string> =>
  (await podman('image', 'inspect', '--format={{.Id}}', image)).trim();
/** Programs an agent file of a person's own needs besides its name and how it is installed. */
const agentFile = (name: string, install: string): Promise<void> =>
  writeFile(
    path.join(own, `${name}.yaml`),
    `kind: tool\nname: ${name}\ntitle: ${name}\ndescription: For a test.\nbinary: ${name}\nprobe: [${name}, --version]\ninstall:\n${install}`,
  );

describe('the layers', () => {
  it('are there after one ensure, each labelled with what it is made of', async () => {
    expect(await imageBuilder().plan(imageRequest())).toEqual({ missing: [] });
    for (const [tag, layer] of [
      [images.l0, 'l0'],
      [images.l1, 'l1'],
    ] as const) {
      const labels = await engine.imageLabels(tag);
      expect(labels?.[LABEL.content]).toMatch(/^[0-9a-f]{64}$/);
      expect(labels).toMatchObject({ [LABEL.base]: images.base, [LABEL.layer]: layer });
    }
    expect(images.inventory).toEqual({
      installed: [{ name: 'scripted', version: 'unversioned' }],
      skipped: [],
    });
    expect(await imageBuilder().inventory(imageRequest())).toEqual(images.inventory);
  });

  it('that have not changed cost one question and no build', async () => {
    const runner = recordingRunner();
    const said: string[] = [];
    await imageBuilder({ runner }).ensure(imageRequest(), (message) => said.push(message));
    expect(runner.ran.map((line) => line.split(' ').slice(0, 3).join(' '))).toEqual(['podman image inspect']);
    expect(said).toEqual([]);
  });

  it('run as dev in /workspace, with sudo, and with the tools that people expect', async () => {
    const programs = 'git curl ssh socat sudo rg vi tmux less ps ip jq terok-init terok-scripted'.split(' ');
    const output = await inside(
      images.task,
      'bash',
      '-c',
      `id -u; id -un; pwd; sudo -n id -u; stat -c %U /workspace; echo $HOME $REPO_ROOT $GIT_RESET_MODE $LANG; type -t ${programs.join(' ')}`,
    );
    const lines = output.trim().split('\n');
    expect(lines.slice(0, 6)).toEqual([
      '1000',
      'dev',
      '/workspace',
      '0',
      'dev',
      '/home/dev /workspace none C.UTF-8',
    ]);
    expect(lines.slice(6)).toEqual(programs.map(() => 'file'));
  });

  it('keep git settings and programs where the task cannot change them without sudo', async () => {
    const output = await inside(
      images.task,
      'bash',
      '-c',
      'stat -c "%U %a" /etc/gitconfig /usr/local/bin/terok-*; ls -A /tmp /run/terok-build',
    );
    expect(new Set(output.trim().split('\n'))).toEqual(
      new Set(['root 644', 'root 755', '/run/terok-build:', '', '/tmp:']),
    );
  });

  it('on our own base are the same when somebody names it', async () => {
    const runner = recordingRunner();
    const named = await imageBuilder({ runner }).ensure(imageRequest({ base_image: images.base }), quiet);
    expect(named).toEqual(images);
    expect(runner.ran).toHaveLength(1);
  });
});

describe("a project's own lines", () => {
  it('run as root on the agents, and tasks start as ever', async () => {
    const snippet = `RUN id -u > /made-by && chmod 600 /made-by
USER root
ENTRYPOINT ["/bin/false"]
WORKDIR /
CMD ["false"]`;
    const ready = await imageBuilder().ensure(project(snippet), quiet);
    expect(ready).toMatchObject({ l2: L2, task: L2, l1: images.l1 });
    expect(await inside(L2, 'bash', '-c', 'id -un; pwd; sudo cat /made-by; type -t terok-scripted')).toBe(
      'dev\n/workspace\n0\nfile\n',
    );
    const config = JSON.parse(await podman('image', 'inspect', '--format={{json .Config}}', L2));
    expect(config).toMatchObject({ User: 'dev', Cmd: ['terok-init', 'interactive'] });
    expect(config.Labels).toMatchObject({ [LABEL.layer]: 'l2', [LABEL.project]: ID });
  });

  it('may add to PATH, in front of which the wrappers stay, in a login shell too', async () => {
    const { task } = await imageBuilder().ensure(project('ENV PATH=/opt/mine:$PATH'), quiet);
    const [plain = '', login = ''] = (await inside(task, 'bash', '-c', "echo $PATH; bash -lc 'echo $PATH'"))
      .trim()
      .split('\n')
      .map((line) => line.split(':'));
    expect(plain[0]).toBe('/etc/terok/bin');
    expect(plain).toContain('/opt/mine');
    expect(plain).not.toContain('');
    expect(login[0]).toBe('/etc/terok/bin');
  });

  it('after a change are built anew, and nothing below them', async () => {
    await imageBuilder().ensure(project('RUN true'), quiet);
    const [l0, l1, l2] = await Promise.all([images.l0, images.l1, L2].map(idOf));
    const runner = recordingRunner();
    await imageBuilder({ runner }).ensure(project('RUN echo changed'), quiet);
    expect(runner.ran.filter((line) => / build /.test(line))).toHaveLength(1);
    expect(await Promise.all([images.l0, images.l1].map(idOf))).toEqual([l0, l1]);
    expect(await idOf(L2)).not.toBe(l2);
  });

  it('that fail name the layer and the last lines, and leave the good image alone', async () => {
    await imageBuilder().ensure(project('RUN true'), quiet);
    const before = await idOf(L2);
    await expect(
      imageBuilder().ensure(project('RUN echo the-cause >&2; exit 7'), quiet),
    ).rejects.toMatchObject({
      code: 'COMMAND_FAILED',
      message: `The image layer ${L2} could not be built`,
      details: expect.stringContaining('the-cause'),
    });
    expect(await idOf(L2)).toBe(before);
  });

  it('make an image for debugging without agents', async () => {
    const tag = await imageBuilder().ensureDev(project('RUN touch /debugged'), quiet);
    expect(tag).toBe(`localhost/${ID}:l2-dev`);
    const output = await inside(
      tag,
      'bash',
      '-c',
      'id -un; ls /debugged; type -t terok-scripted || echo none',
    );
    expect(output).toBe('dev\n/debugged\nnone\n');
  });
});

describe("a person's own agent", () => {
  it('needs one file, and its program is in the image', async () => {
    await agentFile('own-one', '  programs:\n    own-one: |\n      #!/bin/sh\n      echo "own $0 3.2.1"\n');
    const ready = await imageBuilder({ own }).ensure(imageRequest({ agents: ['own-one'] }), quiet);
    expect(ready.inventory).toEqual({ installed: [{ name: 'own-one', version: '3.2.1' }], skipped: [] });
    expect(await inside(ready.task, 'own-one')).toBe('own /usr/local/bin/own-one 3.2.1\n');
    expect((await engine.imageLabels(ready.l1))?.[`${LABEL.agentVersion}own-one`]).toBe('3.2.1');
  });

  it('that cannot be installed, or does not run, is left out by name, and nothing of it stays', async () => {
    await agentFile(
      'own-bad',
      "  shell: |\n    echo x > /usr/local/bin/half\n    echo x > /tmp/half\n    mkdir -p /opt/terok/agents/own-bad/x\n    echo 'the vendor is away' >&2\n    false\n",
    );
    await agentFile(
      'own-dead',
      '  programs:\n    own-dead: |\n      #!/bin/sh\n      echo "no display"; exit 3\n',
    );
    await agentFile('own-needy', '  requires: [own-bad]\n');
    await agentFile('own-rpm', '  rpm: [something]\n');
    const said: string[] = [];
    const ready = await imageBuilder({ own }).ensure(
      imageRequest({ agents: ['own-bad', 'own-dead', 'own-needy', 'own-rpm', 'scripted'] }),
      (line) => said.push(line),
    );
    expect(ready.inventory.installed).toEqual([{ name: 'scripted', version: 'unversioned' }]);
    expect(ready.inventory.skipped).toEqual([
      { name: 'own-bad', reason: 'the vendor is away' },
      { name: 'own-dead', reason: 'it is installed and does not run: no display' },
      { name: 'own-needy', reason: 'it needs own-bad, which is left out' },
      { name: 'own-rpm', reason: 'there is no deb package of it' },
    ]);
    expect(said).toContain('own-bad is left out: the vendor is away');
    const left = await inside(
      ready.task,
      'bash',
      '-c',
      'ls /usr/local/bin/half /tmp/half /opt/terok/agents/own-bad 2>&1 || true',
    );
    expect(left.match(/No such file/g)).toHaveLength(3);
  });
});

describe("the host's own configuration", () => {
  const MARKER = 'marker4f1b2c';

  it('reaches every step of a build, and no image', async () => {
    const home = path.join(work, 'home');
    await mkdir(home, { recursive: true });
    await writeFile(path.join(home, '.npmrc'), `//mirror.invalid/:_authToken=${MARKER}\n`);
    await writeFile(path.join(home, 'ca.pem'), `${MARKER}\n`);
    const env = {
      NPM_CONFIG_USERCONFIG: path.join(home, '.npmrc'),
      PIP_INDEX_URL: `https://${MARKER}@mirror.invalid/simple`,
      SSL_CERT_FILE: path.join(home, 'ca.pem'),
      no_proxy: MARKER,
    };
    // The word as a step may know it without saying it.
    const seen = `p=marker; s=4f1b2c; grep -c "$p$s"`;
    await agentFile(
      'own-look',
      `  shell: |\n    ${seen} /run/terok-build/env /run/terok-build/pip.conf /run/terok-build/ca.crt "$SSL_CERT_FILE" > /usr/local/share/seen\n`,
    );
    await agentFile('own-look-done', `  requires: [own-look]\n`);
    const request = {
      ...imageRequest({ agents: ['own-look'] }, { id: `${ID}h`, directory: work }),
    };
    const ready = await imageBuilder({ own, env, home }).ensure(
      {
        ...request,
        docker: {
          ...request.docker,
          user_snippet_inline: `RUN ${seen} "$NPM_CONFIG_USERCONFIG" "$PIP_CONFIG_FILE" "$CURL_CA_BUNDLE" > /seen-too`,
        },
      },
      quiet,
    );
    expect(await inside(ready.task, 'cat', '/usr/local/share/seen', '/seen-too')).toBe(
      [
        '/run/terok-build/env:1',
        '/run/terok-build/pip.conf:1',
        '/run/terok-build/ca.crt:1',
        '/run/terok-build/ca.crt:1',
        '/run/terok-build/npmrc:1',
        '/run/terok-build/pip.conf:1',
        '/run/terok-build/ca.crt:1',
        '',
      ].join('\n'),
    );
    const told = await Promise.all([
      podman('history', '--no-trunc', ready.task),
      podman('image', 'inspect', ready.task),
      podman(
        'run',
        '--rm',
        '--network=none',
        '--user=0',
        '--',
        ready.task,
        'bash',
        '-c',
        `find / -xdev -type f -exec grep -l "${MARKER}" {} + || true; env`,
      ),
    ]);
    for (const text of told) expect(text).not.toContain(MARKER);
  });
});

describe('images that nothing needs', () => {
  it('go, those that something needs stay, and one in a container is never taken', async () => {
    const gone = `${ID}g`;
    const builder = imageBuilder();
    await builder.ensure(project('RUN echo kept', ID), quiet);
    await builder.ensure(project('RUN echo first', gone), quiet);
    const used = await idOf(`localhost/${gone}:l2-cli`);
    const container = (await podman('create', '--network=none', used, 'true')).trim();
    await builder.ensure(project('RUN echo second', gone), quiet);
    const others = (await builder.list([])).flatMap(({ project }) => project ?? []);
    const projects = others.filter((id) => id !== gone);
    const tag = `localhost/${gone}:l2-cli`;

    const listed = await builder.list(projects);
    const stateOf = (name: string) =>
      listed.find(({ tags, id }) => tags.includes(name) || id === name)?.state;
    expect([stateOf(tag), stateOf(used), stateOf(L2), stateOf(images.l1), stateOf(images.l0)]).toEqual([
      'orphaned',
      'dangling',
      'used',
      'used',
      'used',
    ]);
    const wouldGo = await builder.cleanup({ projects, dryRun: true });
    expect(wouldGo.flatMap(({ tags }) => tags)).toContain(tag);
    expect(await idOf(tag)).toBeTruthy();

    const went = await builder.cleanup({ projects, dryRun: false });
    expect(went.flatMap(({ tags }) => tags)).toContain(tag);
    expect(went.map(({ id }) => id)).not.toContain(used);
    expect(await builder.plan(project('RUN echo kept', ID))).toEqual({ missing: [] });
    await podman('rm', container);
    expect((await builder.cleanup({ projects, dryRun: false })).map(({ id }) => id)).toContain(used);
  });
});

it('Dockerfiles that were written to look at can be built by hand', async () => {
  const directory = path.join(work, 'generated');
  await imageBuilder().generate(imageRequest({ base_image: images.base }), directory);
  const tag = `localhost/${ID}-generated:1`;
  await podman(
    'build',
    '--quiet',
    '--network=none',
    `--file=${directory}/L1.cli.Dockerfile`,
    `--tag=${tag}`,
    directory,
  );
  expect(await inside(tag, 'bash', '-c', 'command -v terok-scripted')).toBe(
    '/usr/local/bin/terok-scripted\n',
  );
});
