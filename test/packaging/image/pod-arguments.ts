/** The pod of the Helm chart as arguments of `podman run`: what a kubelet asks of its runtime, and nothing that Podman adds by itself. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Manifest, ofKind } from '../helm/chart.js';

/** What is for the cluster, and not for the runtime. */
const CLUSTERS = {
  pod: [
    ...['automountServiceAccountToken', 'dnsPolicy', 'nodeSelector', 'priorityClassName'],
    ...['serviceAccountName', 'tolerations'],
  ],
  container: ['image', 'imagePullPolicy', 'livenessProbe', 'name', 'ports', 'startupProbe'],
};

export interface PodArguments {
  /** For Podman, before the image. */
  options: string[];
  /** For the image's entry point. */
  args: string[];
  /** What a kubelet runs in the container to know whether it lives. */
  probe: string[];
}

/** `folder`: for the files of a ConfigMap, and with those of a Secret below its name. @throws for what the chart has and this does not know */
export function podArguments(manifests: readonly Manifest[], folder: string): PodArguments {
  const { containers, volumes, securityContext: shared, ...pod } = podOf(manifests);
  const { hostPID, hostNetwork, hostIPC, ...restOfPod } = pod;
  const [{ args, resources, securityContext, volumeMounts, ...container }] = containers;
  nothingBut(restOfPod, CLUSTERS.pod);
  nothingBut(container, CLUSTERS.container);
  nothingBut(shared, ['seccompProfile']);
  if (shared.seccompProfile.type !== 'RuntimeDefault') throw new Error('not the runtime’s seccomp profile');
  const sources = new Map<string, string | undefined>(
    volumes.map((volume: Manifest) => [volume.name, sourceOf(volume, manifests, folder)]),
  );
  return {
    args,
    probe: container.startupProbe.exec.command,
    options: [
      ...(hostPID ? ['--pid=host'] : []),
      ...(hostNetwork ? ['--network=host'] : []),
      ...(hostIPC ? ['--ipc=host'] : []),
      // Podman hides more of sysfs than the runtimes of Kubernetes do.
      '--security-opt=unmask=/sys/dev/block',
      ...privilegeOptions(securityContext),
      `--memory=${resources.limits.memory.replace('Mi', 'm')}`,
      ...volumeMounts.map((mount: Manifest) => mountOption(mount, sources.get(mount.name))),
    ],
  };
}

export const podOf = (manifests: readonly Manifest[]): Manifest =>
  ofKind(manifests, 'DaemonSet')[0].spec.template.spec;

function privilegeOptions(context: Manifest): string[] {
  const { privileged, allowPrivilegeEscalation, readOnlyRootFilesystem, runAsUser, capabilities, ...rest } =
    context;
  nothingBut(rest, ['appArmorProfile']);
  if (rest.appArmorProfile.type !== 'Unconfined') throw new Error('an AppArmor profile');
  return [
    ...(privileged ? ['--privileged'] : []),
    ...(allowPrivilegeEscalation ? [] : ['--security-opt=no-new-privileges']),
    '--security-opt=apparmor=unconfined',
    // Podman would put a tmpfs in /run and elsewhere.
    ...(readOnlyRootFilesystem ? ['--read-only', '--read-only-tmpfs=false'] : []),
    `--user=${runAsUser}`,
    ...capabilities.drop.map((name: string) => `--cap-drop=${name}`),
    ...capabilities.add.map((name: string) => `--cap-add=${name}`),
  ];
}

/** A path of the host; undefined for a tmpfs of the pod's own. */
function sourceOf(
  { name, ...volume }: Manifest,
  manifests: readonly Manifest[],
  folder: string,
): string | undefined {
  if (volume.emptyDir?.medium === 'Memory') return undefined;
  if (volume.hostPath !== undefined) {
    if (volume.hostPath.type === 'DirectoryOrCreate') mkdirSync(volume.hostPath.path, { recursive: true });
    return volume.hostPath.path;
  }
  if (volume.secret !== undefined) return join(folder, volume.secret.secretName);
  const map = ofKind(manifests, 'ConfigMap').find(({ metadata }) => metadata.name === volume.configMap?.name);
  if (map === undefined) throw new Error(`a volume of no known kind: ${JSON.stringify(volume)}`);
  const path = join(folder, name);
  mkdirSync(path, { recursive: true });
  for (const [file, text] of Object.entries(map.data)) writeFileSync(join(path, file), text as string);
  return path;
}

function mountOption(mount: Manifest, source: string | undefined): string {
  const { mountPath, subPath = '', readOnly = false, mountPropagation = 'None' } = mount;
  if (source === undefined) return `--mount=type=tmpfs,destination=${mountPath},tmpfs-mode=0777,notmpcopyup`;
  const path = join(source, subPath);
  if (subPath !== '') mkdirSync(path, { recursive: true });
  const propagation = mountPropagation === 'HostToContainer' ? 'rslave' : 'rprivate';
  return `--mount=type=bind,source=${path},destination=${mountPath},ro=${readOnly},bind-propagation=${propagation}`;
}

function nothingBut(given: object, known: readonly string[]): void {
  const unknown = Object.keys(given).filter((key) => !known.includes(key));
  if (unknown.length > 0) throw new Error(`the chart has ${unknown}, which no container here would get`);
}
