import { describe, expect, it } from 'vitest';
import { ProjectId } from '../../../src/runtime/core/ids.ts';
import type { ReadyImages } from '../../../src/runtime/images/contract.ts';
import { type Project, ProjectFile } from '../../../src/runtime/projects/contract.ts';
import { imageOf, sidecarOf } from '../../../src/runtime/tasks/agent-image.ts';

const images: ReadyImages = {
  base: 'ubuntu:24.04',
  l0: 'terok-l0:x',
  l1: 'terok-l1-cli:x',
  l2: 'demo:l2-cli',
  task: 'demo:l2-cli',
  inventory: {
    installed: [
      { name: 'codex', version: '1' },
      { name: 'scripted', version: '1' },
    ],
    skipped: [{ name: 'vibe', reason: 'no pip package\u001b[31m' }],
  },
};
const project = (agents: 'all' | readonly string[] = 'all'): Project => ({
  id: ProjectId.parse('demo'),
  file: '/config/projects/demo/project.yml',
  directory: '/config/projects/demo',
  isRepository: false,
  settings: ProjectFile.parse({ git: { upstream_url: 'https://git.example/x.git' }, docker: { agents } }),
});

const agent = (name: string) => ({ what: 'agent', name }) as const;

describe('the image for an agent', () => {
  it("is the project's own where the agent is in it", () => {
    expect(imageOf(agent('codex'), images, project())).toBe('demo:l2-cli');
  });

  it('is refused with the reason why the agent could not be installed, and what to do', () => {
    expect(() => imageOf(agent('vibe'), images, project())).toThrow(
      expect.objectContaining({
        code: 'HOST_UNSUPPORTED',
        message: 'The agent "vibe" is not in the image: no pip package',
        hint: expect.stringMatching(/terok-mcp image build demo.*codex, scripted/),
      }),
    );
  });

  it('is refused, naming the setting that leaves the agent out', () => {
    expect(() => imageOf(agent('claude'), images, project(['codex']))).toThrow(
      expect.objectContaining({ hint: 'Add it to docker.agents (now: codex), or choose another agent.' }),
    );
    expect(() => imageOf(agent('claude'), images, project())).toThrow('"claude" is not in the image');
  });
});

describe('the image for a tool', () => {
  const sidecar = (installed: readonly string[]) => ({
    tag: 'terok-l1-sidecar:x',
    inventory: {
      installed: installed.map((name) => ({ name, version: '1' })),
      skipped: [{ name: 'sonar', reason: 'its archive could not be had' }],
    },
  });

  it('is that of tools, where it is in there', () => {
    expect(sidecarOf('coderabbit', sidecar(['coderabbit']))).toBe('terok-l1-sidecar:x');
  });

  it('is refused with the reason why it could not be installed', () => {
    expect(() => sidecarOf('sonar', sidecar([]))).toThrow(
      expect.objectContaining({
        code: 'HOST_UNSUPPORTED',
        message: 'The tool "sonar" is not in the image of tools: its archive could not be had',
      }),
    );
  });
});

it('a web program that cannot be installed is refused with the reason', () => {
  const without = {
    ...images,
    inventory: { installed: [], skipped: [{ name: 'toad', reason: 'it needs Python 3.14' }] },
  };
  expect(() => imageOf({ what: 'web program', name: 'toad' }, without, project())).toThrow(
    expect.objectContaining({
      code: 'HOST_UNSUPPORTED',
      message: 'The web program "toad" is not in the image: it needs Python 3.14',
    }),
  );
});
