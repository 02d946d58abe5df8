import type { ConfigScope } from '../config/contract.ts';
import type { Project } from '../projects/contract.ts';
import type { CreateTaskInput, FollowUpInput, TaskMode } from './contract.ts';
import type { TaskSettings } from './task-row.ts';

/** What the task's own row keeps. Only what was said. */
export function settingsOf(input: CreateTaskInput, mode: TaskMode, project: Project): TaskSettings {
  return {
    preset: input.preset ?? (mode === 'tool' ? undefined : project.settings.preset),
    model: input.model,
    maxTurns: input.maxTurns,
    timeoutS: input.timeoutS,
    instructions: input.instructions,
    subagents: input.subagents,
    restricted: input.restricted,
    branch: input.branch,
    gate: input.gate,
    gpus: input.gpus,
    agent: mode === 'web' ? input.agent : undefined,
    web: input.web,
    toolArgs: input.tool?.args,
  };
}

/** Only what was said: an absent key leaves the layers below as they are. */
export function taskLayer(settings: TaskSettings): ConfigScope['layer'] {
  const { model, maxTurns, timeoutS, restricted } = settings;
  return {
    ...(model === undefined ? {} : { model }),
    ...(maxTurns === undefined ? {} : { max_turns: maxTurns }),
    ...(timeoutS === undefined ? {} : { timeout: timeoutS }),
    ...(restricted === undefined ? {} : { unrestricted: !restricted }),
  };
}

/** What a follow-up changes of the task for good. */
export const saidOf = ({ model, maxTurns, timeoutS }: FollowUpInput) => ({
  ...(model === undefined ? {} : { model }),
  ...(maxTurns === undefined ? {} : { maxTurns }),
  ...(timeoutS === undefined ? {} : { timeoutS }),
});
