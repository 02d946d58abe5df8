import { listAgents } from './agents/list-agents.tool.ts';
import type { Tool } from './define-tool.ts';
import { gateDiff } from './gate/gate-diff.tool.ts';
import { promote } from './gate/promote.tool.ts';
import { doctor } from './host/doctor.tool.ts';
import { buildImages } from './images/build-images.tool.ts';
import { listProjects } from './projects/list-projects.tool.ts';
import { shieldStatus } from './shield/shield-status.tool.ts';
import { createTask } from './tasks/create-task.tool.ts';
import { deleteTask } from './tasks/delete-task.tool.ts';
import { followUp } from './tasks/follow-up.tool.ts';
import { listTasks } from './tasks/list-tasks.tool.ts';
import { restartTask } from './tasks/restart-task.tool.ts';
import { runHeadless } from './tasks/run-headless.tool.ts';
import { runTool } from './tasks/run-tool.tool.ts';
import { stopTask } from './tasks/stop-task.tool.ts';
import { taskLogs } from './tasks/task-logs.tool.ts';
import { taskStatus } from './tasks/task-status.tool.ts';
import { listCredentials } from './vault/list-credentials.tool.ts';
import { revokeCredentials } from './vault/revoke-credentials.tool.ts';

/** Every tool, sorted by name: the list a client sees is the same for every connection. */
export const catalog: readonly Tool[] = [
  buildImages,
  createTask,
  deleteTask,
  doctor,
  followUp,
  gateDiff,
  listAgents,
  listCredentials,
  listProjects,
  listTasks,
  promote,
  restartTask,
  revokeCredentials,
  runHeadless,
  runTool,
  shieldStatus,
  stopTask,
  taskLogs,
  taskStatus,
];
