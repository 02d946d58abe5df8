/** Claude's settings that nothing in the container can change. */
const MANAGED_SETTINGS = '/etc/claude-code/managed-settings.json';
/** Below /home/dev/.terok, which belongs to the container: nothing the host trusts. */
const SESSION_FILE = '/home/dev/.terok/claude-session.txt';

/** Keeps the id of the conversation that was begun last, by hand or headless. A good id is never lost to a bad one. */
const COMMAND = [
  `id=$(sed -n 's/.*"session_id" *: *"\\([0-9A-Za-z-]\\{1,64\\}\\)".*/\\1/p' | head -n 1)`,
  `{ [ -z "$id" ] || { mkdir -p ${SESSION_FILE.replace(/\/[^/]*$/, '')} && printf '%s\\n' "$id" > ${SESSION_FILE}; } || true; }`,
].join('; ');

/** The SessionStart hook of Claude, as part of its managed settings. */
export function sessionHook(): { readonly path: string; readonly content: string } {
  const hooks = { SessionStart: [{ hooks: [{ type: 'command', command: COMMAND }] }] };
  return { path: MANAGED_SETTINGS, content: JSON.stringify({ hooks }) };
}
