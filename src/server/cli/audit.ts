import type { AuditRecord } from '../../runtime/vault/contract.ts';
import { control } from '../control/control-protocol.ts';
import { type Command, parseCommandArgs, UsageError } from './command.ts';

const DEFAULT_LIMIT = 50;
const MAX_LIMIT = 10_000;

export const audit: Command = {
  usage: 'audit [--task <id>] [--provider <name>] [--limit <n>] [--json]',
  summary: 'List what tasks did with credentials, newest last.',
  run: async (args, { withDaemon, output }) => {
    const { values } = parseCommandArgs(args, {
      task: { type: 'string' },
      provider: { type: 'string' },
      limit: { type: 'string' },
      json: { type: 'boolean' },
    });
    const limit = toLimit(values.limit);
    const { records } = await withDaemon(
      async (client) =>
        await client.call(control.auditRead, { task: values.task, provider: values.provider, limit }),
    );
    if (values.json === true) output.json(records);
    else if (records.length === 0)
      output.line('No task has used a credential, as far as this log goes back.');
    else output.table(HEADER, records.map(toRow));
    return 0;
  },
};

function toLimit(text: string | undefined): number {
  if (text === undefined) return DEFAULT_LIMIT;
  const limit = /^[0-9]{1,5}$/.test(text) ? Number(text) : 0;
  if (limit < 1 || limit > MAX_LIMIT) throw new UsageError(`--limit takes 1 to ${MAX_LIMIT}`);
  return limit;
}

const HEADER = [
  'WHEN',
  'TASK',
  'PROVIDER',
  'STATUS',
  'OUTCOME',
  'TOOK',
  'SENT',
  'RECEIVED',
  'TOKENS',
  'COST',
  'WHAT',
];

function toRow(record: AuditRecord): readonly string[] {
  const { at, task, provider, set, channel, method, target, status, outcome, durationMs } = record;
  const tokens = [record.inputTokens, record.outputTokens].some((count) => count !== undefined)
    ? `${record.inputTokens ?? 0}+${record.outputTokens ?? 0}`
    : '-';
  return [
    at.replace(/\.\d+Z$/, 'Z'),
    task,
    `${provider ?? '-'}${set === undefined || set === 'default' ? '' : ` (${set})`}`,
    String(status ?? '-'),
    outcome,
    durationMs < 10_000 ? `${Math.round(durationMs)} ms` : `${Math.round(durationMs / 1000)} s`,
    size(record.bytesSent),
    size(record.bytesReceived),
    tokens,
    record.costUsd === undefined
      ? '-'
      : `${record.isEstimate === true ? '~' : ''}$${record.costUsd.toFixed(4)}`,
    `${channel === 'http' ? '' : `${channel} `}${method} ${target}`,
  ];
}

function size(bytes: number | undefined): string {
  if (bytes === undefined) return '-';
  if (bytes < 10_000) return `${bytes}`;
  return bytes < 10_000_000 ? `${Math.round(bytes / 1000)}k` : `${Math.round(bytes / 1_000_000)}M`;
}
