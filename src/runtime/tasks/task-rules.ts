import { branchNameProblem } from '../core/branch-name.ts';
import { InvalidInputError } from '../core/errors.ts';
import type { CreateTaskInput, TaskMode } from './contract.ts';

/** Which mode was asked for, and that nothing was said which it cannot do (pure). Throws InvalidInputError. */
export function modeOf(input: CreateTaskInput): TaskMode {
  const { prompt, project, repo, branch } = input;
  if ((project === undefined) === (repo === undefined)) {
    throw new InvalidInputError(
      project === undefined
        ? 'A task needs a project, or a repository'
        : 'A task has a project or a repository, not both',
      { hint: 'Give project (list_projects names them), or repo: a URL or an absolute path.' },
    );
  }
  const mode = input.mode ?? (prompt === undefined ? 'interactive' : 'headless');
  if (mode === 'headless' && prompt === undefined)
    throw new InvalidInputError('A headless task needs a prompt', {
      hint: 'Say in prompt what is to be done.',
    });
  if (mode !== 'headless' && prompt !== undefined)
    throw new InvalidInputError(`${A_TASK[mode]} takes no prompt`, {
      hint: 'Leave out the prompt, or start a headless task.',
    });
  if (mode !== 'web' && input.web !== undefined)
    throw new InvalidInputError(`${A_TASK[mode]} has no address for a browser`, {
      hint: 'Leave out port and public URL, or start a web task.',
    });
  if (mode === 'dev' && repo !== undefined)
    throw new InvalidInputError('A repository without a project has no debugging image', {
      hint: 'Make a project for it: "terok-mcp project create".',
    });
  checkTool(mode, input);
  const problem = branch === undefined ? undefined : branchNameProblem(branch);
  if (problem !== undefined)
    throw new InvalidInputError(`That branch name cannot be one: it ${problem}`, {
      hint: 'Name a branch of the repository.',
    });
  return mode;
}

function checkTool(mode: TaskMode, input: CreateTaskInput): void {
  if (mode !== 'tool') {
    if (input.tool === undefined) return;
    throw new InvalidInputError(`${A_TASK[mode]} runs no tool`, { hint: 'Start a tool task for it.' });
  }
  if (input.tool === undefined)
    throw new InvalidInputError('A tool task needs a tool', {
      hint: 'list_agents names the tools there are.',
    });
  const forAgents = (['agent', 'model', 'maxTurns', 'instructions', 'subagents', 'preset'] as const).find(
    (key) => input[key] !== undefined,
  );
  if (forAgents !== undefined)
    throw new InvalidInputError(`A tool task runs no agent, so it takes no ${WORDS[forAgents]}`, {
      hint: 'Leave it out.',
    });
}

const A_TASK: Readonly<Record<TaskMode, string>> = {
  headless: 'A headless task',
  interactive: 'An interactive task',
  web: 'A web task',
  tool: 'A tool task',
  dev: 'A debugging shell',
};

const WORDS = {
  agent: 'agent',
  model: 'model',
  maxTurns: 'limit of turns',
  instructions: 'instructions',
  subagents: 'sub-agents',
  preset: 'preset',
} as const;
