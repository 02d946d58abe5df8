/**
 * A connection to the daemon's socket opens with one line that says what will be spoken on it:
 * `terok-mcp/1 mcp` or `terok-mcp/1 control`.
 */
export type DaemonProtocol = 'mcp' | 'control';

export const MAX_PREFACE_BYTES = 64;

export function preface(protocol: DaemonProtocol): string {
  return `terok-mcp/1 ${protocol}\n`;
}

/** The rest of the text, without its newline; undefined for anything we do not speak. */
export function parsePreface(line: string): DaemonProtocol | undefined {
  if (line === 'terok-mcp/1 mcp') return 'mcp';
  if (line === 'terok-mcp/1 control') return 'control';
  return undefined;
}
