import { ConflictError, NotFoundError } from '../core/errors.ts';
import type { TaskId } from '../core/ids.ts';
import { isUp } from './state.ts';
import type { TaskContext } from './task-context.ts';
import { addressWith, hashOf, newWebToken, publicUrlOf } from './task-tokens.ts';

/** New addresses for running web tasks: the token of the old one is known to nobody here, and ends. */
export class WebAddresses {
  readonly #context: TaskContext;

  constructor(context: TaskContext) {
    this.#context = context;
  }

  async renew(id: TaskId): Promise<string> {
    const { mutex, store, projects, engine, shield, services, events } = this.#context;
    return await mutex.run(id, async () => {
      const task = store.get(id);
      const settings = store.origin(id)?.settings;
      if (task === undefined || settings === undefined)
        throw new NotFoundError(`There is no task "${id}" any more`);
      if (task.mode !== 'web' || task.webPort === undefined) {
        throw new ConflictError(`Task ${id} is ${task.mode}: only a web task has an address`, {
          hint: 'create_task with mode "web" makes one.',
        });
      }
      if (!isUp(task)) {
        throw new ConflictError(`Task ${id} is ${task.state}: nobody answers at its address`, {
          hint: 'restart_task starts it again, and says its new address.',
        });
      }
      const project = await projects.get(task.project);
      // Never raised anew: that would be another network than the one its container is in.
      const container = await engine.inspect(task.container);
      const { networkPath } = await shield.adopt(task.id, container?.pid, store.egressRules(id));
      const token = newWebToken();
      store.setWebTokenHash(id, hashOf(token));
      await services.openDoor(task, project, networkPath);
      events.record({ project: task.project, task: id, actor: 'client', kind: 'task.web_token_renewed' });
      return addressWith(publicUrlOf({ settings, project, port: task.webPort }), token);
    });
  }
}
