import path from 'node:path';
import { z } from 'zod';
import { Authorship, type Person } from '../agents/contract.ts';
import { AgentLayer, type ConfigScope, type GlobalConfig } from '../config/contract.ts';
import { branchNameProblem } from '../core/branch-name.ts';
import { isMapping } from '../core/deep-merge.ts';
import { AgentName, ProjectId } from '../core/ids.ts';
import { parseUpstreamUrl } from '../core/upstream-url.ts';
import { GpuSetting } from '../gpus/contract.ts';
import { DockerSettings } from '../images/contract.ts';
import { WebSettings } from '../web/contract.ts';

/** Where agents' pushes may go, and who lets them on. */
export const PromotionApproval = z.enum(['human', 'supervisor', 'disabled']);

const MEMORY_UNITS = new Map([
  ['k', 1024],
  ['m', 1024 ** 2],
  ['g', 1024 ** 3],
]);

const memory = z
  .string()
  .regex(/^[1-9][0-9]*[kmg]$/, 'a number followed by k, m or g, like "4g"')
  .transform((text) => Number(text.slice(0, -1)) * (MEMORY_UNITS.get(text.slice(-1)) ?? 1));

const upstreamUrl = z.string().superRefine((url, context) => {
  const parsed = parseUpstreamUrl(url);
  if (!parsed.isValid) context.addIssue({ code: 'custom', message: parsed.problem });
});

const branchName = z.string().superRefine((name, context) => {
  const problem = branchNameProblem(name);
  if (problem !== undefined) context.addIssue({ code: 'custom', message: problem });
});

const personName = z
  .string()
  .max(100)
  .regex(/^(?=.*[^\s.,:;"'])[^<>\p{Cc}]+$/u, 'a name without "<", ">" and control characters');
const personEmail = z
  .string()
  .max(200)
  .regex(/^[^\s<>\p{Cc}]+$/u, 'an address without spaces, "<" and ">"');

const identity = {
  authorship: z
    .string()
    .transform((text) => text.trim().toLowerCase() || 'agent-human')
    .pipe(Authorship)
    .default('agent-human')
    .describe('Author and committer of commits: agent-human, human-agent, agent or human.'),
  human_name: personName
    .optional()
    .describe('Name of the person in commits. Default: that of config.yml, else git config user.name.'),
  human_email: personEmail.optional().describe('E-mail address of the person, likewise.'),
};

const Run = z
  .strictObject({
    gpus: GpuSetting.default(false),
    restricted: z.boolean().default(false).describe('true: no-new-privileges, no sudo inside the container.'),
    memory: memory
      .prefault('8g')
      .describe('Memory limit of a task, like "8g", where the host can enforce it.'),
    cpus: z
      .number()
      .positive()
      .max(1024)
      .default(4)
      .describe('CPU limit of a task, where the host can enforce it.'),
    pids: z
      .int()
      .min(16)
      .max(100_000)
      .default(2048)
      .describe('Process limit of a task, where the host can enforce it.'),
    shutdown_timeout: z
      .int()
      .min(0)
      .max(600)
      .default(10)
      .describe('Seconds between TERM and KILL when a task is stopped.'),
    timeout: z
      .int()
      .min(1)
      .max(86_400)
      .default(1800)
      .describe('Seconds a headless run may take; then exit code 124. agent.timeout wins over it.'),
  })
  .describe('What tasks are given of the host.');

const Promotion = z
  .strictObject({
    approval: PromotionApproval.default('human').describe(
      'human: a promotion waits for "terok-mcp approve"; supervisor: the calling assistant decides; disabled: none.',
    ),
    expires_minutes: z
      .int()
      .min(1)
      .max(10_080)
      .default(1440)
      .describe('How long a parked promotion can be approved.'),
  })
  .describe("How agents' work goes upstream.");

const isPort = (digits: string): boolean => Number(digits) >= 1 && Number(digits) <= 65_535;

const Relay = z
  .strictObject({
    endpoint: z
      .string()
      .regex(
        /^(?:tcp:\/\/(?:\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+):[0-9]{1,5}|unix:\/\/\/.+)$/,
        'like "tcp://127.0.0.1:8090" or "unix:///run/x.sock"',
      )
      .refine((endpoint) => isPort(/^tcp:.*:([0-9]+)$/.exec(endpoint)?.[1] ?? '1'), 'its port is 1 to 65535')
      .describe(
        'One endpoint of the host that tasks reach at localhost:9419: a model server, which agents are pointed to.',
      ),
  })
  .describe('A service of this machine for tasks.');

const Vault = z
  .strictObject({
    agents: z
      .array(AgentName)
      .optional()
      .describe(
        "Agents and tools whose credentials tasks may use. Default: the task's own agent (all where people start agents), and tools.",
      ),
    budget: z
      .strictObject({
        usd: z
          .number()
          .positive()
          .optional()
          .describe('US dollars, by the prices of the models that it used.'),
        requests: z.int().positive().optional().describe('Requests with a credential.'),
      })
      .optional()
      .describe('What one task may spend before a person is asked.'),
  })
  .describe('Credentials of tasks.');

const Ssh = z
  .strictObject({
    destinations: z
      .array(
        z
          .string()
          .regex(
            /^[A-Za-z0-9._-]{1,64}@(?:[A-Za-z0-9.-]{1,253}|\[[0-9a-fA-F:.]+\])(?::[0-9]{1,5})?$/,
            'like "git@github.com"',
          )
          .refine((text) => isPort(/:([0-9]+)$/.exec(text)?.[1] ?? '22'), 'its port is 1 to 65535'),
      )
      .default([])
      .describe(
        "Where tasks may log in with the project's key, by the host keys in known_hosts beside project.yml.",
      ),
    signatures: z
      .boolean()
      .default(false)
      .describe('true: tasks may also sign with it, commits for instance.'),
  })
  .describe("What tasks may do with the project's SSH key.");

const choices = {
  default_agent: AgentName.optional().describe(
    'Agent for tasks that name none. Default: that of config.yml, else claude.',
  ),
  preset: z.string().min(1).max(64).optional().describe('Preset for tasks that name none.'),
  agent: AgentLayer.optional().describe('How agents are run; the layers are merged, this one among them.'),
};

/** `config.yml`: for all projects, each of which may say otherwise key by key. Everything may be left out. */
export const ConfigFile = z
  .strictObject({
    ...choices,
    docker: DockerSettings.optional().describe('Images; a path is relative to config.yml.'),
    git: z.strictObject(identity).optional().describe('Who commits.'),
    run: Run.optional().describe('What tasks are given of the host.'),
    promotion: Promotion.optional().describe("How agents' work goes upstream."),
    relay: Relay.optional(),
    vault: Vault.optional(),
    web: WebSettings.optional(),
  })
  .describe('config.yml of terok-mcp.');

/** `project.yml`. Unknown keys are errors; every key says what it does. */
export const ProjectFile = z
  .strictObject({
    project: z
      .strictObject({
        id: ProjectId.optional().describe('Must equal the name of the directory; usually left out.'),
        description: z.string().max(500).optional().describe('One line for people.'),
        security_class: z
          .literal('gatekeeping')
          .default('gatekeeping')
          .describe('gatekeeping: agents push to the gate only, and a promotion is reviewed.'),
      })
      .prefault({})
      .describe('The project itself.'),
    git: z
      .strictObject({
        upstream_url: upstreamUrl.describe(
          'The real repository: a URL (https, http, ssh, git, file), user@host:path or an absolute path. SSH takes the key of "terok-mcp project ssh-init".',
        ),
        default_branch: branchName
          .optional()
          .describe("Branch tasks start on. Default: the upstream's own HEAD."),
        reset_mode: z
          .enum(['none', 'soft', 'hard'])
          .default('none')
          .describe(
            'What a restarted task does to its workspace. none: fetch only; soft: move the branch, keep all changes; hard: move all, uncommitted work is kept under refs/terok/rescue.',
          ),
        ...identity,
      })
      .describe('Its repository, and who commits.'),
    ...choices,
    docker: DockerSettings.prefault({}).describe('Images; a path is relative to project.yml.'),
    run: Run.prefault({}).describe('What tasks are given of the host.'),
    promotion: Promotion.prefault({}).describe("How agents' work goes upstream."),
    relay: Relay.optional(),
    vault: Vault.prefault({}),
    ssh: Ssh.prefault({}),
    web: WebSettings.prefault({}),
  })
  .describe('project.yml of terok-mcp.');
export type ProjectFile = z.infer<typeof ProjectFile>;

export interface Project {
  readonly id: ProjectId;
  /** Its project.yml; config.yml for a repository without a project, whose settings are all from there. */
  readonly file: string;
  /** Where `file` lies, with `instructions.md` and whatever else it names. */
  readonly directory: string;
  /** Those of config.yml with the project's own laid over; `agent` is the project's own layer alone. */
  readonly settings: ProjectFile;
  /** Made for a repository that somebody named instead of a project: it has no file, and its images no layer of its own. */
  readonly isRepository: boolean;
  /** Top-level keys that its own file has, for people who ask where a setting comes from. */
  readonly ownKeys?: readonly string[] | undefined;
}

/** The layers that files make for a project's runs, or for those of none; lowest priority first. */
export function fileScopes(global: GlobalConfig, project: Project | undefined): readonly ConfigScope[] {
  const { file, agent } = global;
  const ofAll = { level: 'global', source: file, directory: path.dirname(file), layer: agent ?? {} } as const;
  if (project === undefined || project.isRepository) return [ofAll];
  const { directory, settings } = project;
  return [ofAll, { level: 'project', source: project.file, directory, layer: settings.agent ?? {} }];
}

/** Below all of them: `run.timeout` is what every agent gets that no layer says otherwise of. */
export function timeoutScope({ file, sections }: GlobalConfig, project: Project | undefined): ConfigScope {
  const { run } = sections;
  const inherited = isMapping(run) ? run['timeout'] : undefined;
  const timeout = project?.settings.run.timeout ?? inherited;
  return {
    level: 'global',
    source: `run.timeout of ${project?.file ?? file}`,
    directory: undefined,
    layer: timeout === undefined ? {} : { timeout: { _default: timeout } },
  };
}

/** The person behind the agents, for commits. */
export interface HumanIdentity {
  /** What the project or config.yml says, else git's own configuration of this user; undefined where nobody says. */
  of(project: Project): Promise<Person | undefined>;
}

export interface ProjectProblem {
  readonly id: string;
  readonly problem: string;
}

export interface Projects {
  /**
   * Valid projects, and those whose file is broken with what is wrong; sorted by id. Throws InvalidInputError for a
   * broken config.yml, as `get` does: no project could be told what it says.
   */
  list(): Promise<{ readonly projects: readonly Project[]; readonly broken: readonly ProjectProblem[] }>;
  /** Throws NotFoundError (with the nearest names) or InvalidInputError (file, line, key). */
  get(id: string): Promise<Project>;
  /**
   * The project that stands for a repository without one: a URL or an absolute path. The same repository gets the
   * same one each time; it is remembered, so that `get` knows it. Throws InvalidInputError for an unusable upstream,
   * and ConflictError when its id is taken.
   */
  forRepository(upstreamUrl: string): Promise<Project>;
  /**
   * Writes a new project.yml. Throws ConflictError when it exists, and InvalidInputError for an id, branch or
   * upstream that cannot be used, one that is reached over SSH among them.
   */
  create(input: {
    readonly id: string;
    readonly upstreamUrl: string;
    readonly defaultBranch?: string | undefined;
  }): Promise<Project>;
}
