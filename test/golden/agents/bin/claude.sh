#!/bin/bash
# claude as in this task. Written by the host, which keeps it.

words=() values=0 previous= refused=
for argument in "$@"; do
  case $argument in
    --) break ;;
    -*) ;;
    *)
      # Perhaps the value of the flag before it.
      if [[ $previous == -* && $values -eq ${#words[@]} ]]; then values=$((values + 1)); fi
      words+=("$argument")
      ;;
  esac
  previous=$argument
done
for ((at = 0; at <= values; at++)); do
  if [[ "${words[at + 0]-}" = 'auth' && "${words[at + 1]-}" = 'login' ]]; then refused='auth login'; fi
  if [[ "${words[at + 0]-}" = 'auth' && "${words[at + 1]-}" = 'logout' ]]; then refused='auth logout'; fi
  if [[ "${words[at + 0]-}" = 'setup-token' ]]; then refused='setup-token'; fi
done
if [ -n "$refused" ]; then
  printf '%s\n' 'claude: "'"$refused"'" is not done here: the host looks after credentials and versions.' >&2
  exit 1
fi

agent_name='Claude' agent_email='noreply@anthropic.com'
human_name=${HUMAN_GIT_NAME:-Nobody} human_email=${HUMAN_GIT_EMAIL:-nobody@localhost}
case ${TEROK_GIT_AUTHORSHIP-} in
  human | human-agent) export GIT_AUTHOR_NAME=$human_name GIT_AUTHOR_EMAIL=$human_email ;;
  *) export GIT_AUTHOR_NAME=$agent_name GIT_AUTHOR_EMAIL=$agent_email ;;
esac
case ${TEROK_GIT_AUTHORSHIP-} in
  agent | human-agent) export GIT_COMMITTER_NAME=$agent_name GIT_COMMITTER_EMAIL=$agent_email ;;
  *) export GIT_COMMITTER_NAME=$human_name GIT_COMMITTER_EMAIL=$human_email ;;
esac

export CLAUDE_CONFIG_DIR='/home/dev/.claude'
export CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC='1'
export DISABLE_AUTOUPDATER='1'
export DISABLE_ERROR_REPORTING='1'
export DISABLE_TELEMETRY='1'
export CLAUDE_CODE_DISABLE_OFFICIAL_MARKETPLACE_AUTOINSTALL='1'
export API_TIMEOUT_MS='180000'
export CLAUDE_CODE_MAX_RETRIES='5'

# Unless they are given, as by a headless run.
defaults=('--append-system-prompt-file' '/etc/terok/instructions.md' '--system-prompt-snapshot' 'off')
for argument in "$@"; do
  case $argument in '--append-system-prompt-file' | '--append-system-prompt-file'=*) defaults=() ;; esac
done
set -- "${defaults[@]}" "$@"

for directory in '/usr/local/bin' '/usr/bin'; do
  if [ -x "$directory"/'claude' ]; then exec "$directory"/'claude' "$@"; fi
done
printf '%s\n' 'claude: not in this image' >&2
exit 127
