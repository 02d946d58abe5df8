import { stringify } from 'yaml';

/** The text of a new `project.yml`: what must be set is set, what may be set stands there as a comment. */
export function renderProjectFile(input: {
  readonly upstreamUrl: string;
  readonly defaultBranch?: string | undefined;
}): string {
  const scalar = (text: string): string => stringify(text, { lineWidth: 0 }).trimEnd();
  const branch =
    input.defaultBranch === undefined
      ? '# default_branch: main'
      : `default_branch: ${scalar(input.defaultBranch)}`;
  return `# A project of terok-mcp. Unknown keys are errors; a line that begins with "#" shows a default.

git:
  # The real repository. Tasks never reach it: they work on the gate, a mirror of it on this machine.
  upstream_url: ${scalar(input.upstreamUrl)}
  # The branch tasks start on. Default: the upstream's own HEAD.
  ${branch}
  # authorship: agent-human # author and committer: agent-human, human-agent, agent, human
  # human_name: Ada Lovelace
  # human_email: ada@example.org

# What follows is inherited from config.yml, key by key, where it stands there and not here.

# default_agent: claude
# preset: thorough        # a file of presets/, for tasks that name none

# agent:                  # a mapping from agent to value, with _default, wherever agents differ
#   model: sonnet
#   max_turns: 50
#   unrestricted: true    # false: the agent asks before it acts, and there is no sudo
#   instructions:         # the file instructions.md beside this one is appended
#     - _inherit          # the bundled text
#     - Use the Makefile.
#   subagents:
#     - file: reviewer.md # Markdown with front matter, beside this file
#       default: true

# docker:
#   base_image: ubuntu:24.04
#   user_snippet_inline: |
#     RUN apt-get update && apt-get install -y make

# promotion:
#   # Who lets work on to the upstream. human: it waits for "terok-mcp approve"; supervisor: the calling
#   # assistant decides; disabled: nobody.
#   approval: human
#   expires_minutes: 1440

# run:
#   gpus: false             # all, nvidia, nvidia:0, or a list
#   restricted: false       # true: no sudo inside the container
#   memory: 8g
#   cpus: 4
#   pids: 2048
#   timeout: 1800           # seconds a headless run may take

# relay:
#   endpoint: tcp://127.0.0.1:8090   # one service of this machine that tasks reach at localhost:9419
`;
}
