import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { parseYaml } from '../../../src/runtime/core/yaml-document.ts';
import { renderProjectFile } from '../../../src/runtime/projects/project-template.ts';
import { runCommandLine } from '../../../src/server/cli/command-line.ts';

/** Runs a command with no daemon, no Podman and no files to be had. */
async function terok(...argv: string[]) {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const never = () => {
    throw new Error('asked for more than it needs');
  };
  const exitCode = await runCommandLine(
    {
      argv,
      env: { TEROK_CONFIG_DIR: '/nonexistent' },
      home: '/nonexistent',
      cwd: '/',
      uid: 1000,
      userName: 'nobody',
      pid: 1,
      stdin: new PassThrough(),
      stdout,
      stderr,
      isInteractive: false,
      program: { file: '/nonexistent', args: [] },
      ownsDirectory: () => false,
      onSignal: never,
      onFatal: never,
      exit: never,
      crash: never,
    },
    { createRuntime: never, createSetup: never, podmanCommand: never },
  );
  return { exitCode, stdout: String(stdout.read() ?? ''), stderr: String(stderr.read() ?? '') };
}

const NAMES = ['config', 'project', 'preset', 'agent'] as const;

async function schemaOf(name: string): Promise<z.core.JSONSchema.JSONSchema> {
  const { exitCode, stdout } = await terok('config', 'schema', name);
  expect(exitCode).toBe(0);
  return JSON.parse(stdout);
}

const plain = (yaml: string): unknown => parseYaml(yaml).document?.value;

const GOOD: Readonly<Record<(typeof NAMES)[number], readonly string[]>> = {
  config: [
    '{}',
    'run: {memory: 4g, gpus: [nvidia, "amd:1"]}\ngit: {authorship: human}\ndefault_agent: vibe',
    'agent: {model: {claude: opus, _default: null, _inherit: true}, instructions: [_inherit, more]}',
  ],
  project: [
    renderProjectFile({ upstreamUrl: 'https://example.invalid/x.git', defaultBranch: 'main' }),
    'git: {upstream_url: /x}\ndocker: {agents: [claude], base_image: "fedora:42", family: rpm}',
  ],
  preset: [
    '{}',
    'model: opus\nunrestricted: "no"\nsubagents: [_inherit, {file: a.md}, {name: b, tools: [Read]}]',
  ],
  agent: [],
};

const BAD: Readonly<Record<(typeof NAMES)[number], readonly string[]>> = {
  config: ['agnet: {}', 'run: {memroy: 4g}', 'run: {memory: lots}', 'git: {upstream_url: /x}', '[]'],
  project: ['{}', 'git: {upstream_url: /x, branch: x}', 'git: {upstream_url: /x}\nrun: {pids: 1}'],
  preset: ['modle: x', 'model: 3', 'max_turns: {claude: lots}', 'subagents: [3]'],
  agent: ['{}', 'kind: agent', 'kind: other\nname: x'],
};

describe('the JSON Schema of', () => {
  it.each(NAMES)('%s files is one, for editors, and needs no daemon', async (name) => {
    const schema = await schemaOf(name);
    expect(schema).toMatchObject({ $schema: 'https://json-schema.org/draft/2020-12/schema' });
    // It is read back by a reader of JSON Schema.
    const reader = z.fromJSONSchema(schema);
    for (const yaml of GOOD[name]) expect(reader.safeParse(plain(yaml)).error).toBeUndefined();
    for (const yaml of BAD[name])
      expect([yaml, reader.safeParse(plain(yaml)).success]).toEqual([yaml, false]);
  });

  it('agent files takes every one that is bundled, and none with an unknown key', async () => {
    const reader = z.fromJSONSchema(await schemaOf('agent'));
    const directory = path.resolve(import.meta.dirname, '../../../resources/agents');
    for (const name of readdirSync(directory)) {
      const text = readFileSync(path.join(directory, name), 'utf8');
      expect([name, reader.safeParse(plain(text)).error]).toEqual([name, undefined]);
      expect([name, reader.safeParse(plain(`${text}\nunknown_key: 1\n`)).success]).toEqual([name, false]);
    }
  });

  it.each(['config', 'project', 'preset'])('%s files describes every key', async (name) => {
    const undescribed: string[] = [];
    const walk = (schema: unknown, at: string): void => {
      if (typeof schema !== 'object' || schema === null) return;
      for (const [key, inner] of Object.entries(schema)) {
        if (key === 'properties' && typeof inner === 'object' && inner !== null) {
          for (const [property, of] of Object.entries(inner)) {
            if (typeof of !== 'object' || of === null || !('description' in of))
              undescribed.push(`${at}.${property}`);
            walk(of, `${at}.${property}`);
          }
        } else if (typeof inner === 'object') walk(inner, at);
      }
    };
    walk(await schemaOf(name), name);
    expect(undescribed).toEqual([]);
  });

  it('no other file exists', async () => {
    expect(await terok('config', 'schema', 'projects')).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining('config, project, preset, agent'),
    });
  });
});
