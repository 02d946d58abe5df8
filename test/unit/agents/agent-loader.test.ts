import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AgentLoader } from '../../../src/runtime/agents/agent-loader.ts';
import { agentText, bundledDirectory as bundled, settings } from './roster-fixture.ts';

const BUNDLED =
  'blablador claude coderabbit codex copilot gemini gh glab kisski opencode qwen scripted sonar toad vibe'.split(
    ' ',
  );

describe('the roster on disk', () => {
  const names = async (agents: AgentLoader) => (await agents.roster()).entries.map(({ name }) => name);
  let own: string;
  beforeEach(() => {
    own = mkdtempSync(path.join(os.tmpdir(), 'agents-'));
  });
  afterEach(() => rmSync(own, { recursive: true, force: true }));

  it('holds the bundled agents, tools and web programs, and needs no directory of own files', async () => {
    const agents = new AgentLoader({ bundled, own: '/nonexistent' });
    expect(await names(agents)).toEqual(BUNDLED);
    expect(await agents.agent('scripted')).toMatchObject({ kind: 'agent', binary: 'terok-scripted' });
    expect(await agents.tool('gh')).toMatchObject({ kind: 'tool', binary: 'gh' });
    expect(await agents.webProgram('toad')).toMatchObject({ kind: 'web', binary: 'toad' });
  });

  it('sees an edit at once and ignores files of other kinds', async () => {
    const agents = new AgentLoader({ bundled, own });
    writeFileSync(path.join(own, 'mine.yaml'), agentText('mine'));
    writeFileSync(path.join(own, 'mine.yaml.bak'), 'nonsense: [');
    expect(await names(agents)).toEqual([...BUNDLED, 'mine'].sort());
    writeFileSync(path.join(own, 'mine.yaml'), agentText('mine').replace('Title', 'Other'));
    expect((await agents.agent('mine')).title).toBe('Other');
  });

  it('has a broken file fail for its own agent only, and names it in the list', async () => {
    const agents = new AgentLoader({ bundled, own });
    writeFileSync(path.join(own, 'mine.yaml'), agentText('mine'));
    writeFileSync(path.join(own, 'bad.yaml'), `${agentText('bad')}colour: red\n`);
    mkdirSync(path.join(own, 'directory.yaml'));
    execFileSync('mkfifo', [path.join(own, 'pipe.yaml')]);
    expect((await agents.agent('mine')).name).toBe('mine');
    expect((await agents.agent('scripted')).name).toBe('scripted');
    await expect(agents.agent('bad')).rejects.toMatchObject({
      code: 'INVALID_INPUT',
      message: `${own}/bad.yaml:11: colour: is no known key`,
    });
    const { broken } = await agents.roster();
    expect(broken.map(({ name, problem }) => [name, problem.replace(`${own}/`, '')])).toEqual([
      ['bad', 'bad.yaml:11: colour: is no known key'],
      ['directory', 'directory.yaml:1: is not a regular file'],
      ['pipe', 'pipe.yaml:1: is not a regular file'],
    ]);
  });

  it('is not brought down by files without end, bytes that are no text, links in a circle and editors', async () => {
    const agents = new AgentLoader({ bundled, own });
    writeFileSync(path.join(own, 'huge.yaml'), '');
    truncateSync(path.join(own, 'huge.yaml'), 1024 ** 4);
    writeFileSync(path.join(own, 'bytes.yaml'), Buffer.from([0xff, 0xfe, 0x00]));
    symlinkSync('circle.yaml', path.join(own, 'circle.yaml'));
    symlinkSync('somebody@somewhere:1', path.join(own, '.#mine.yaml'));
    symlinkSync('/dev/zero', path.join(own, 'device.yaml'));
    const { broken } = await agents.roster();
    expect(broken.map(({ problem }) => problem.replace(`${own}/`, ''))).toEqual([
      'bytes.yaml:1: is not UTF-8 text',
      'circle.yaml:1: cannot be read (ELOOP)',
      'device.yaml:1: is not a regular file',
      'huge.yaml:1: is larger than 1 MB',
    ]);
    expect(await names(agents)).toEqual(BUNDLED);
  });

  it('in a directory that is none is an error in words', async () => {
    const file = path.join(own, 'file');
    writeFileSync(file, '');
    await expect(new AgentLoader({ bundled, own: file }).roster()).rejects.toMatchObject({
      code: 'INVALID_INPUT',
      message: `${file} cannot be read (ENOTDIR)`,
    });
  });

  it('that has not changed is checked once', async () => {
    const agents = new AgentLoader({ bundled, own });
    const [first] = (await agents.roster()).entries;
    expect((await agents.roster()).entries[0]).toBe(first);
    writeFileSync(path.join(own, 'mine.yaml'), agentText('mine'));
    expect((await agents.roster()).entries[0]).not.toBe(first);
  });

  it('does not fall back to a bundled agent whose own file is broken, yet keeps it in the image', async () => {
    const agents = new AgentLoader({ bundled, own });
    writeFileSync(path.join(own, 'scripted.yaml'), 'title: [');
    writeFileSync(path.join(own, 'gh.yaml'), 'colour: red\n');
    await expect(agents.agent('scripted')).rejects.toMatchObject({ code: 'INVALID_INPUT' });
    await expect(agents.tool('gh')).rejects.toMatchObject({ code: 'INVALID_INPUT' });
    expect(await names(agents)).toEqual(BUNDLED);
  });

  it('is refused whole when a bundled file is broken', async () => {
    writeFileSync(path.join(own, 'bad.yaml'), 'name: [');
    const agents = new AgentLoader({ bundled: own, own: '/nonexistent' });
    await expect(agents.roster()).rejects.toMatchObject({ code: 'INVALID_INPUT' });
    await expect(agents.agent('scripted')).rejects.toMatchObject({ code: 'INVALID_INPUT' });
  });

  it('suggests the nearest name, or lists all, and tells a tool from an agent', async () => {
    const agents = new AgentLoader({ bundled, own });
    await expect(agents.agent('scriptd')).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: 'There is no agent named "scriptd"',
      hint: 'Did you mean scripted?',
    });
    await expect(agents.agent('\u001b[31mzzzz')).rejects.toMatchObject({
      message: 'There is no agent named "zzzz"',
      hint: 'Known agents: blablador, claude, codex, copilot, gemini, kisski, opencode, qwen, scripted, vibe.',
    });
    await expect(agents.agent('gh')).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: '"gh" is a tool, not an agent',
    });
    await expect(agents.tool('claude')).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: '"claude" is an agent, not a tool',
      hint: 'Known tools: coderabbit, gh, glab, sonar.',
    });
    await expect(agents.webProgram('claude')).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: '"claude" is an agent, not a web program',
      hint: 'Known web programs: toad.',
    });
    await expect(agents.agent('toad')).rejects.toThrow('"toad" is a web program, not an agent');
    await expect(agents.webProgram('toat')).rejects.toMatchObject({
      message: 'There is no web program named "toat"',
      hint: 'Did you mean toad?',
    });
    for (const name of ['__proto__', 'constructor', ''])
      await expect(agents.agent(name)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('gives each new conversation an id of its own', async () => {
    const agents = new AgentLoader({ bundled, own });
    const input = {
      agent: await agents.agent('claude'),
      roster: (await agents.roster()).entries,
      settings: settings(),
      isRestricted: false,
      authorship: 'agent' as const,
      human: undefined,
      prompt: 'x',
      session: undefined,
      endpoints: new Map(),
    };
    const ids = [agents.plan(input).session, agents.plan(input).session];
    expect(new Set(ids).size).toBe(2);
    for (const id of ids)
      expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  });
});
