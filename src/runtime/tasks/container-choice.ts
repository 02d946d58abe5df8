import { type ContainerSpec, type ContainerState, LABEL } from '../engine/contract.ts';

export type ContainerChoice =
  | { readonly kind: 'start' }
  /** `why` follows "It goes on in a new container, for"; undefined where that was asked for. */
  | { readonly kind: 'make-anew'; readonly why: string | undefined };

/** Whether a task that starts again can have the container it had (pure). */
export function chooseContainer(
  container: ContainerState | undefined,
  spec: ContainerSpec,
  options: { readonly isRecreated: boolean },
): ContainerChoice {
  if (options.isRecreated) return { kind: 'make-anew', why: undefined };
  if (container === undefined) return { kind: 'make-anew', why: 'the one it had is gone' };
  if (container.labels[LABEL.spec] !== spec.labels[LABEL.spec])
    return { kind: 'make-anew', why: 'what the one it had was made with has changed' };
  return { kind: 'start' };
}

export const newContainerWarning = (why: string): string =>
  `It goes on in a new container, for ${why}. Its workspace and its conversations are kept; whatever else was installed or written in the old container is not.`;
