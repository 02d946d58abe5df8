import { type ApprovalRecord, type ChangeRecord, control } from '../control/control-protocol.ts';
import { type Command, parseCommandArgs, UsageError } from './command.ts';
import { isConfirmed } from './confirm.ts';
import type { Output } from './output.ts';

const MAX_SHOWN = 30;

export const approvals: Command = {
  usage: 'approvals [--all] [--json]',
  summary: 'List what waits for your word.',
  run: async (args, { withDaemon, output }) => {
    const { values } = parseCommandArgs(args, { all: { type: 'boolean' }, json: { type: 'boolean' } });
    const { approvals: found } = await withDaemon(
      async (client) => await client.call(control.approvalsList, { pendingOnly: values.all !== true }),
    );
    if (values.json === true) output.json(found);
    else if (found.length === 0) output.line('Nothing waits for approval.');
    else {
      output.table(
        ['ID', 'STATE', 'KIND', 'PROJECT', 'EXPIRES', 'WHAT'],
        found.map(({ id, state, kind, project, expiresAt, summary }) => [
          id,
          state,
          kind,
          project,
          expiresAt,
          summary,
        ]),
      );
    }
    return 0;
  },
};

export const approve: Command = {
  usage: 'approve <id> [--yes]',
  summary: 'Show what would happen, ask, and do it. Away from a terminal it needs --yes.',
  run: async (args, context) => {
    const { values, positionals } = parseCommandArgs(
      args,
      { yes: { type: 'boolean', short: 'y' } },
      { names: ['<id>'] },
    );
    const [id = ''] = positionals;
    const { host, output, withDaemon } = context;
    return await withDaemon(async (client) => {
      const { approval, change } = await client.call(control.approvalsShow, { id });
      describe(output, approval, change);
      if (values.yes !== true) {
        if (!host.isInteractive) throw new UsageError('this is no terminal to ask on; add --yes to approve');
        if (!(await isConfirmed(host, 'Approve?'))) {
          output.line('Not approved; it stays pending.');
          return 1;
        }
      }
      const settled = await client.call(control.approvalsApprove, { id, by: host.userName });
      output.line(`Approved ${settled.id}${settled.outcome === null ? '' : `: ${settled.outcome}`}`);
      return 0;
    });
  },
};

export const deny: Command = {
  usage: 'deny <id>',
  summary: 'Refuse it; nothing happens.',
  run: async (args, { host, output, withDaemon }) => {
    const [id = ''] = parseCommandArgs(args, {}, { names: ['<id>'] }).positionals;
    const settled = await withDaemon(
      async (client) => await client.call(control.approvalsDeny, { id, by: host.userName }),
    );
    output.line(`Denied ${settled.id}`);
    return 0;
  },
};

function describe(output: Output, approval: ApprovalRecord, change: ChangeRecord | null): void {
  output.line(`${approval.kind}: ${approval.summary}`);
  output.line(`  project  ${approval.project}`);
  if (change !== null) describeChange(output, change);
  output.line(
    `  state    ${approval.state}, asked by ${approval.requestedBy}, expires ${approval.expiresAt}`,
  );
}

function describeChange(output: Output, change: ChangeRecord): void {
  output.line(
    `  branch   ${change.branch}${change.hasMoved ? ' (moved since it was reviewed: will be refused)' : ''}`,
  );
  output.line(`  head     ${change.head}`);
  output.line(
    `  target   ${change.target} of upstream${change.isNew ? ` (new branch, compared with ${change.base})` : ''}`,
  );
  output.line(`  commits  ${change.commitCount}`);
  output.table(
    ['  ', ''],
    change.commits.slice(0, MAX_SHOWN).map(({ id, subject }) => [`    ${id.slice(0, 12)}`, subject]),
  );
  output.line(`  files    ${change.fileCount}`);
  output.table(
    ['', '', ''],
    change.files
      .slice(0, MAX_SHOWN)
      .map(({ path, added, removed, status }) => [
        `    ${status}`,
        added === null || removed === null ? 'binary' : `+${added} -${removed}`,
        path,
      ]),
  );
}
