import type { GateLimits } from './gate-limits.ts';
import type { GitService } from './gate-requests.ts';
import { namespaceOf } from './ref-names.ts';

/** History of old repositories has these flaws, and a push may carry it again. None of them can do harm. */
const FORGIVEN = [
  'badDateOverflow',
  'badTimezone',
  'missingNameBeforeEmail',
  'missingSpaceBeforeDate',
  'missingSpaceBeforeEmail',
  'missingTaggerEntry',
  'zeroPaddedFilemode',
];

/**
 * Settings for serving one task. The namespace confines it: whatever ref a push names is a ref below
 * `refs/namespaces/<task>/`. Hiding everything else is the second wall, and keeps the ids of other tasks'
 * commits out of what receive-pack advertises.
 */
export function backendConfig(
  task: string,
  limits: GateLimits,
  { isReadOnly }: { readonly isReadOnly: boolean },
): readonly (readonly [string, string])[] {
  return [
    ['http.receivepack', isReadOnly ? 'false' : 'true'],
    ['http.uploadpack', 'true'],
    ['http.getanyfile', 'false'],
    ['transfer.hideRefs', '^refs'],
    ['transfer.hideRefs', `!^${namespaceOf(task).replace(/\/$/, '')}`],
    ['receive.fsckObjects', 'true'],
    ...FORGIVEN.map((flaw) => [`receive.fsck.${flaw}`, 'ignore'] as const),
    ['receive.autogc', 'false'],
    ['receive.denyCurrentBranch', 'ignore'],
    ['receive.denyDeleteCurrent', 'ignore'],
    ['receive.maxInputSize', String(limits.maxPushBytes)],
    ['receive.updateServerInfo', 'false'],
    // Large files are streamed to disk rather than held in memory.
    ['core.bigFileThreshold', '32m'],
    ['pack.threads', '2'],
    ['pack.windowMemory', '128m'],
    ['uploadpack.allowFilter', 'false'],
    ['uploadpack.allowAnySHA1InWant', 'false'],
  ];
}

/** Variables of CGI (RFC 3875) and of git-http-backend(1) for one request. */
export function backendVariables(request: {
  readonly gates: string;
  readonly project: string;
  readonly task: string;
  readonly service: GitService;
  readonly isAdvertisement: boolean;
  readonly contentType: string | undefined;
  readonly contentEncoding: string | undefined;
  readonly gitProtocol: string | undefined;
}): Readonly<Record<string, string>> {
  const { service, isAdvertisement, contentEncoding } = request;
  const isOldProtocol = request.gitProtocol === 'version=1';
  return {
    GIT_PROJECT_ROOT: request.gates,
    GIT_HTTP_EXPORT_ALL: '1',
    GIT_NAMESPACE: request.task,
    GIT_ALLOC_LIMIT: '1g',
    PATH_INFO: `/${request.project}.git/${isAdvertisement ? 'info/refs' : service}`,
    REQUEST_METHOD: isAdvertisement ? 'GET' : 'POST',
    QUERY_STRING: isAdvertisement ? `service=${service}` : '',
    CONTENT_TYPE: isAdvertisement ? '' : (request.contentType ?? ''),
    // Set so that receive-pack is enabled, and reflogs name the task.
    REMOTE_USER: request.task,
    REMOTE_ADDR: request.task,
    ...(contentEncoding === undefined || contentEncoding === 'identity'
      ? {}
      : { HTTP_CONTENT_ENCODING: 'gzip' }),
    // Version 2 answers a request for any commit id, advertised or not; versions 0 and 1 only for what the
    // namespace leads to. Clients that offer version 2 take the older answer as well.
    ...(isOldProtocol ? { GIT_PROTOCOL: 'version=1' } : {}),
  };
}
