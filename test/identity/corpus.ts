/** Paths as hosts have them, and those that only look like it. Ids are made, the same in every run. */
import { createHash } from 'node:crypto';
import type { Confidence, Runtime } from '../../src/identity/container.js';

export interface Case {
  path: string;
  runtime: Runtime;
  id: string;
  pod?: string;
  confidence: Confidence;
}

const hexOf = (seed: string): string => createHash('sha256').update(seed).digest('hex');

/** What stands for the words in braces in the lines below. */
function wordsOf(seed: string): Record<string, string> {
  const hex = hexOf(seed);
  const other = hexOf(`other ${seed}`);
  const uuid = [
    hex.slice(0, 8),
    hex.slice(8, 12),
    hex.slice(12, 16),
    hex.slice(16, 20),
    hex.slice(20, 32),
  ].join('-');
  return {
    hex,
    other,
    uuid,
    uid_: uuid.replaceAll('-', '_'),
    hash: other.slice(0, 32),
    task: other.slice(32),
    number: String((parseInt(hex.slice(0, 4), 16) % 60_000) + 2),
    base36: BigInt(`0x${hex}`).toString(36).slice(0, 25),
    garden: `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20, 24)}`,
    name: ['web', 'db-1', 'build_7.x'][hex.charCodeAt(0) % 3] ?? '',
  };
}

type Line = readonly [
  runtime: Runtime,
  id: string,
  path: string,
  pod?: string | undefined,
  confidence?: Confidence,
];

/** Each is told with three sets of ids. */
const LINES: readonly Line[] = [
  ['docker', '{hex}', '/docker/{hex}'],
  ['docker', '{hex}', '/system.slice/docker-{hex}.scope'],
  ['docker', '{hex}', '/system.slice/docker-{hex}.scope/init'],
  ['docker', '{hex}', '/app.slice/app-web.slice/docker-{hex}.scope'],
  ['docker', '{hex}', '/docker-ce/docker/{hex}'],
  ['docker', '{hex}', '/init.scope/docker/{hex}'],
  ['docker', '{hex}', '/system.slice/docker.service/docker/{hex}'],
  ['docker', '{hex}', '/../../docker/{hex}'],
  ['docker', '{hex}', '/docker/{hex} (deleted)'],
  ['docker', '{hex}', '/docker/{hex}/system.slice/ssh.service'],
  ['docker', '{hex}', '/docker/{hex}/docker/{other}'],
  [
    'docker',
    '{hex}',
    '/docker/{hex}/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod{uid_}.slice/cri-containerd-{other}.scope',
  ],
  ['docker', '{hex}', '/docker/{hex}/kubepods/besteffort/pod{uuid}/{other}'],
  ['docker', '{hex}', '/system.slice:docker:{hex}'],
  ['docker', '{hex}', '/moby/{hex}'],
  [
    'docker',
    '{hex}',
    '/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{uid_}.slice/docker-{hex}.scope',
    '{uuid}',
  ],
  [
    'docker',
    '{hex}',
    '/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{uid_}.slice:docker:{hex}',
    '{uuid}',
  ],
  [
    'docker',
    '{hex}',
    '/user.slice/user-1000.slice/user@1000.service/user.slice/docker-{hex}.scope',
    undefined,
    'low',
  ],
  ['docker', '{hex}', '/system.slice/jenkins.service/docker/{hex}', undefined, 'low'],
  ['balena', '{hex}', '/balena/{hex}'],
  ['balena', '{hex}', '/system.slice/balena-{hex}.scope'],

  ['containerd', '{hex}', '/kubepods.slice/kubepods-pod{uid_}.slice/cri-containerd-{hex}.scope', '{uuid}'],
  [
    'containerd',
    '{hex}',
    '/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{uid_}.slice/cri-containerd-{hex}.scope',
    '{uuid}',
  ],
  [
    'containerd',
    '{hex}',
    '/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{uid_}.slice/cri-containerd-{hex}.scope',
    '{uuid}',
  ],
  [
    'containerd',
    '{hex}',
    '/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{hash}.slice/cri-containerd-{hex}.scope',
    '{hash}',
  ],
  [
    'containerd',
    '{hex}',
    '/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice/kubelet-kubepods-burstable-pod{uid_}.slice/cri-containerd-{hex}.scope',
    '{uuid}',
  ],
  [
    'containerd',
    '{hex}',
    '/system.slice/containerd.service/kubepods-burstable-pod{uid_}.slice:cri-containerd:{hex}',
    '{uuid}',
  ],
  [
    'containerd',
    '{hex}',
    '/system.slice/containerd.service/kubepods-besteffort-pod{uid_}.slice:cri-containerd:{hex}',
    '{uuid}',
  ],
  [
    'containerd',
    '{hex}',
    '/system.slice/k3s.service/kubepods-pod{uid_}.slice:cri-containerd:{hex}',
    '{uuid}',
  ],
  ['containerd', '{hex}', '/kubepods-burstable-pod{uid_}.slice:cri-containerd:{hex}', '{uuid}'],
  ['containerd', '{hex}', '/system.slice/cri-containerd-{hex}.scope'],
  ['containerd', '{hex}', '/system.slice/containerd-{hex}.scope'],
  ['containerd', '{hex}', '/system.slice/nerdctl-{hex}.scope'],
  ['containerd', '{hex}', '/system.slice:cri-containerd:{hex}'],
  ['containerd', '{hex}', '/system.slice:nerdctl:{hex}'],
  ['containerd', '{hex}', '/default/{hex}'],
  ['containerd', '{hex}', '/k8s.io/{hex}'],
  ['containerd', '{name}', '/default/{name}', undefined, 'low'],
  [
    'containerd',
    '{hex}',
    '/user.slice/user-1000.slice/user@1000.service/user.slice/nerdctl-{hex}.scope',
    undefined,
    'low',
  ],

  ['kubernetes', '{hex}', '/kubepods/pod{uuid}/{hex}', '{uuid}'],
  ['kubernetes', '{hex}', '/kubepods/burstable/pod{uuid}/{hex}', '{uuid}'],
  ['kubernetes', '{hex}', '/kubepods/besteffort/pod{uuid}/{hex}', '{uuid}'],
  ['kubernetes', '{hex}', '/kubepods/burstable/pod{hash}/{hex}', '{hash}'],
  ['kubernetes', '{hex}', '/kubelet/kubepods/burstable/pod{uuid}/{hex}', '{uuid}'],
  ['kubernetes', '{hex}', '/kubepods.slice/kubepods-pod{uid_}.slice/{hex}', '{uuid}'],
  ['kubernetes', '{uuid}', '/kubepods/besteffort/pod{uuid}', '{uuid}'],
  ['kubernetes', '{uuid}', '/kubepods.slice/kubepods-pod{uid_}.slice', '{uuid}'],

  [
    'cri-o',
    '{hex}',
    '/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{uid_}.slice/crio-{hex}.scope',
    '{uuid}',
  ],
  [
    'cri-o',
    '{hex}',
    '/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{uid_}.slice/crio-{hex}.scope/container',
    '{uuid}',
  ],
  ['cri-o', '{hex}', '/kubepods.slice/kubepods-pod{uid_}.slice/crio-conmon-{hex}.scope', '{uuid}'],
  ['cri-o', '{hex}', '/kubepods/burstable/pod{uuid}/crio-{hex}', '{uuid}'],
  ['cri-o', '{hex}', '/kubepods/besteffort/pod{uuid}/crio-conmon-{hex}', '{uuid}'],
  ['cri-o', '{hex}', '/system.slice/crio.service/kubepods-pod{uid_}.slice:crio:{hex}', '{uuid}'],
  ['cri-o', '{hex}', '/machine.slice/crio-{hex}.scope'],

  ['podman', '{hex}', '/machine.slice/libpod-{hex}.scope'],
  ['podman', '{hex}', '/machine.slice/libpod-{hex}.scope/container'],
  ['podman', '{hex}', '/machine.slice/libpod-{hex}.scope/ctr/init.scope'],
  ['podman', '{hex}', '/machine.slice/libpod-conmon-{hex}.scope'],
  ['podman', '{hex}', '/machine.slice/machine-libpod_pod_{other}.slice/libpod-{hex}.scope/container'],
  ['podman', '{hex}', '/system.slice/{name}.service/libpod-payload-{hex}'],
  ['podman', '{hex}', '/system.slice/system-web.slice/web@1.service/libpod-payload-{hex}/init.scope'],
  ['podman', '{hex}', '/libpod_parent/libpod-{hex}'],
  ['podman', '{hex}', '/libpod_parent/{other}/libpod-{hex}'],
  ['podman', '{hex}', '/libpod_parent/libpod-conmon-{hex}'],
  ['podman', '{hex}', '/libpod_parent/{other}/libpod-conmon-{hex}'],
  [
    'podman',
    '{hex}',
    '/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{hex}.scope/container',
    undefined,
    'low',
  ],
  [
    'podman',
    '{hex}',
    '/user.slice/user-1000.slice/user@1000.service/user.slice/user-libpod_pod_{other}.slice/libpod-{hex}.scope',
    undefined,
    'low',
  ],
  [
    'podman',
    '{hex}',
    '/user.slice/user-1000.slice/user@1000.service/app.slice/{name}.service/libpod-payload-{hex}',
    undefined,
    'low',
  ],
  ['buildah', 'buildah{number}', '/machine.slice/buildah-buildah{number}.scope'],
  [
    'buildah',
    'buildah{number}',
    '/user.slice/user-1000.slice/user@1000.service/user.slice/buildah-buildah{number}.scope',
    undefined,
    'low',
  ],

  ['ecs', '{hex}', '/ecs/{uuid}/{hex}'],
  ['ecs', '{hex}', '/ecs/{task}/{hex}'],
  ['ecs', '{hex}', '/ecs/prod-cluster/{task}/{hex}'],
  ['ecs', '{task}-{number}', '/ecs/{task}/{task}-{number}'],
  ['ecs', '{hex}', '/ecstasks.slice/ecstasks-{task}.slice/docker-{hex}.scope'],

  ['buildkit', '{base36}', '/buildkit/{base36}'],
  ['buildkit', '{base36}', '/docker/buildkit/{base36}'],
  ['buildkit', '{base36}', '/system.slice/buildkit-{base36}.scope'],
  ['buildkit', '{base36}', '/system.slice/docker-buildkit-{base36}.scope'],
  ['buildkit', '{base36}', '/system.slice:buildkit:{base36}'],
  ['buildkit', '{base36}', '/system.slice/buildkit.service/buildkit/{base36}'],

  ['lxc', '{name}', '/lxc/{name}'],
  ['lxc', '{number}', '/lxc/{number}/ns/system.slice/cron.service'],
  ['lxc', '{name}', '/lxc.payload/{name}'],
  ['lxc', '{name}', '/lxc.payload.{name}'],
  ['lxc', '{name}', '/lxc.payload.{name}/system.slice/ssh.service'],
  ['lxc', 'ci_{name}', '/lxc.payload.ci_{name}/init.scope'],
  ['lxc', '{name}', '/lxc.payload.{name}/.lxc'],
  ['lxc', '{name}', '/lxc.payload.{name}/docker/{hex}'],
  ['lxc', '{name}', '/lxc.monitor.{name}'],
  ['lxc', '{name}', '/lxc.monitor/{name}'],
  ['lxc', '{name}', '/user/1000.user/3.session/lxc/{name}', undefined, 'low'],
  ['lxc', '{name}', '/user.slice/user-1000.slice/session-3.scope/lxc.payload.{name}', undefined, 'low'],

  ['libvirt', '{name}', '/machine.slice/machine-qemu\\x2d{number}\\x2d{name}.scope/libvirt/emulator'],
  ['libvirt', '{name}', '/machine.slice/machine-lxc\\x2d{number}\\x2d{name}.scope'],
  ['libvirt', '{name}', '/machine/qemu-{number}-{name}.libvirt-qemu'],
  ['libvirt', '{name}', '/machine/lxc-{number}-{name}.libvirt-lxc'],
  ['rkt', '{uuid}', '/machine.slice/machine-rkt\\x2d{uuid}.scope/system.slice/redis.service'],
  ['nspawn', 'my-{name}', '/machine.slice/machine-my\\x2d{name}.scope'],
  ['nspawn', '{name}', '/machine.slice/systemd-nspawn@{name}.service/payload/init.scope'],
  ['nspawn', 'my-{name}', '/machine.slice/systemd-nspawn@my\\x2d{name}.service/supervisor'],
  ['nspawn', 'größe', '/machine.slice/machine-gr\\xc3\\xb6\\xc3\\x9fe.scope'],
  ['nspawn', '{name}', '/system.slice/systemd-nspawn@{name}.service/payload'],

  ['apptainer', '{number}', '/system.slice/apptainer-{number}.scope'],
  ['apptainer', '{number}', '/apptainer/{number}'],
  [
    'apptainer',
    '{number}',
    '/user.slice/user-1000.slice/user@1000.service/user.slice/apptainer-{number}.scope',
    undefined,
    'low',
  ],
  ['singularity', '{number}', '/system.slice/singularity-{number}.scope'],
  ['singularity', '{number}', '/singularity/{number}'],
  [
    'singularity',
    '{number}',
    '/user.slice/user-1000.slice/user@1000.service/user.slice/singularity-{number}.scope',
    undefined,
    'low',
  ],

  ['garden', '{garden}', '/garden/{garden}'],
  ['garden', '{uuid}', '/garden/{uuid}'],
  ['garden', '{garden}', '/system.slice/garden.service/garden/good/{garden}'],
  ['garden', '{garden}', '/system.slice/garden.service/garden/bad/{garden}'],
  ['garden', '{garden}', '/system.slice/runc-bpm-garden.scope/garden/{garden}'],

  [
    'github-actions',
    'octo-{name}.runner-{number}',
    '/system.slice/actions.runner.octo-{name}.runner-{number}.service',
  ],
  ['github-actions', '{hex}', '/actions_job/{hex}'],
  ['github-actions', '{hex}', '/actions_job/{hex}/kubepods/burstable/pod{hash}/{other}'],

  ['nomad', '{uuid}.{name}', '/nomad.slice/{uuid}.{name}.scope'],
  ['nomad', '{uuid}.{name}', '/nomad.slice/share.slice/{uuid}.{name}.scope'],
  ['nomad', '{uuid}.{name}', '/nomad.slice/reserve.slice/{uuid}.{name}.scope'],
  ['nomad', '{uuid}-{name}', '/nomad/{uuid}-{name}'],
  ['mesos', '{uuid}', '/mesos/{uuid}'],
  ['slurm', '{number}', '/slurm/uid_1000/job_{number}/step_0/task_0'],
  ['slurm', '{number}', '/slurm_node7/uid_1000/job_{number}/step_batch'],
  ['slurm', '{number}', '/system.slice/slurmstepd.scope/job_{number}/step_0/user/task_0'],
  ['slurm', '{number}', '/system.slice/node7_slurmstepd.scope/job_{number}/step_extern'],
  ['kata', '{hex}', '/kata_overhead/{hex}'],
  ['kata', '{hex}', '/kata_{hex}'],

  ['crun', '{name}', '/system.slice/crun-{name}.scope'],
  ['crun', '{name}', '/crun/{name}'],
  [
    'crun',
    '{name}',
    '/user.slice/user-1000.slice/user@1000.service/user.slice/crun-{name}.scope',
    undefined,
    'low',
  ],
  ['runc', '{name}', '/system.slice/runc-{name}.scope'],
  ['runc', '{name}', '/system.slice:runc:{name}'],
  ['runc', '{name}', '/user.slice/user-0.slice/runc-{name}.scope'],
  ['youki', '{name}', '/system.slice/youki-{name}.scope'],
  ['youki', '{name}', '/youki/{name}'],
  [
    'flatpak',
    'org.gnome.Maps-{number}',
    '/user.slice/user-1000.slice/user@1000.service/app.slice/app-flatpak-org.gnome.Maps-{number}.scope',
    undefined,
    'low',
  ],

  ['oci', '{hex}', '/{hex}', undefined, 'low'],
  ['oci', '{hex}', '/my-parent/{hex}', undefined, 'low'],
  ['oci', '{hex}', '/system.slice/{hex}', undefined, 'low'],

  ['systemd', '{name}.service', '/system.slice/{name}.service'],
  ['systemd', 'getty@tty{number}.service', '/system.slice/system-getty.slice/getty@tty{number}.service'],
  ['systemd', 'dev-loop{number}.swap', '/system.slice/dev-loop{number}.swap'],
  ['systemd', 'snap-core-{number}.mount', '/system.slice/snap-core-{number}.mount'],
  ['systemd', 'run-u{number}.service', '/system.slice/run-u{number}.service'],
  ['systemd', 'session-{number}.scope', '/user.slice/user-1000.slice/session-{number}.scope'],
  [
    'systemd',
    'user@{number}.service',
    '/user.slice/user-{number}.slice/user@{number}.service/app.slice/app-gnome-firefox-7.scope',
  ],
  ['systemd', 'user@{number}.service', '/user.slice/user-{number}.slice/user@{number}.service/init.scope'],
  ['systemd', 'user-{number}.slice', '/user.slice/user-{number}.slice'],
];

const SEEDS = ['one', 'two', 'three'];

export const CORPUS: readonly Case[] = LINES.flatMap(([runtime, id, path, pod, confidence = 'high'], line) =>
  SEEDS.map((seed): Case => {
    const words = wordsOf(`${seed} ${line}`);
    const fill = (text: string): string =>
      text.replace(/\{(\w+)\}/g, (_, word: string) => words[word] ?? '?');
    return {
      path: fill(path),
      runtime,
      id: fill(id),
      ...(pod !== undefined && { pod: fill(pod) }),
      confidence,
    };
  }),
);

const HEX = hexOf('near miss');
const UUID_ = '0f1e2d3c_4b5a_6978_8796_a5b4c3d2e1f0';

/** What must not be taken for a container, and what it is then. */
export const NEAR_MISSES: readonly (readonly [path: string, runtime: Runtime, id: string])[] = [
  ['/', 'host', '/'],
  ['', 'host', '/'],
  ['/..', 'host', '/'],
  ['/init.scope', 'systemd', 'init.scope'],
  [`/docker/${HEX.slice(1)}`, 'unknown', HEX.slice(1)],
  [`/docker/${HEX}0`, 'unknown', `${HEX}0`],
  [`/docker/${HEX.toUpperCase()}`, 'unknown', HEX.toUpperCase()],
  [`/docker/ ${HEX}`, 'unknown', ` ${HEX}`],
  [`/docker/${HEX}\n`, 'unknown', `${HEX}\n`],
  [`/docker/${HEX.slice(1)}\u0430`, 'unknown', `${HEX.slice(1)}\u0430`],
  ['/docker', 'unknown', 'docker'],
  ['/docker/buildx', 'unknown', 'buildx'],
  [`/system.slice/docker-${HEX.slice(1)}.scope`, 'systemd', `docker-${HEX.slice(1)}.scope`],
  [`/system.slice/docker-${HEX}.scope.service`, 'systemd', `docker-${HEX}.scope.service`],
  [`/system.slice/docker-${HEX}.service`, 'systemd', `docker-${HEX}.service`],
  [`/system.slice/docker-${HEX}-scope`, 'unknown', `docker-${HEX}-scope`],
  [`/system.slice/notdocker-${HEX}.scope`, 'systemd', `notdocker-${HEX}.scope`],
  [`/system.slice/xlibpod-${HEX}.scope`, 'systemd', `xlibpod-${HEX}.scope`],
  [`/system.slice/libpod-${HEX}g.scope`, 'systemd', `libpod-${HEX}g.scope`],
  [
    `/system.slice/cri-containerd-${HEX.slice(0, 12)}.scope`,
    'systemd',
    `cri-containerd-${HEX.slice(0, 12)}.scope`,
  ],
  ['/system.slice/docker.service', 'systemd', 'docker.service'],
  ['/system.slice/containerd.service', 'systemd', 'containerd.service'],
  ['/system.slice/crio.service', 'systemd', 'crio.service'],
  ['/system.slice/lxc.service', 'systemd', 'lxc.service'],
  ['/system.slice/nomad.service', 'systemd', 'nomad.service'],
  ['/system.slice/actions.runner.service', 'systemd', 'actions.runner.service'],
  ['/system.slice/systemd-nspawn.service', 'systemd', 'systemd-nspawn.service'],
  ['/system.slice/crun.scope', 'systemd', 'crun.scope'],
  ['/system.slice/buildkit.service', 'systemd', 'buildkit.service'],
  ['/machine.slice', 'systemd', 'machine.slice'],
  ['/machine.slice/machine.scope', 'systemd', 'machine.scope'],
  ['/kubepods', 'unknown', 'kubepods'],
  ['/kubepods/burstable', 'unknown', 'burstable'],
  ['/kubepods.slice', 'systemd', 'kubepods.slice'],
  ['/kubepods.slice/kubepods-burstable.slice', 'systemd', 'kubepods-burstable.slice'],
  ['/kubepods/burstable/pod', 'unknown', 'pod'],
  ['/kubepods/burstable/pod1234', 'unknown', 'pod1234'],
  [`/kubepods.slice/kubepods-pod${UUID_}0.slice`, 'systemd', `kubepods-pod${UUID_}0.slice`],
  [
    `/kubepods.slice/kubepods-guaranteed-pod${UUID_}.slice`,
    'systemd',
    `kubepods-guaranteed-pod${UUID_}.slice`,
  ],
  ['/lxc', 'unknown', 'lxc'],
  ['/lxc.payload', 'unknown', 'lxc.payload'],
  ['/lxc.payload.', 'unknown', 'lxc.payload.'],
  ['/srv/lxc/web', 'unknown', 'web'],
  ['/mylxc.payload.web', 'unknown', 'mylxc.payload.web'],
  ['/buildkit/short', 'unknown', 'short'],
  [`/buildkit/${'A'.repeat(25)}`, 'unknown', 'A'.repeat(25)],
  ['/garden', 'unknown', 'garden'],
  ['/garden/good', 'unknown', 'good'],
  ['/garden/shed', 'unknown', 'shed'],
  ['/apptainer/web', 'unknown', 'web'],
  ['/system.slice/apptainer-web.scope', 'systemd', 'apptainer-web.scope'],
  ['/system.slice/apptainer-12345678901.scope', 'systemd', 'apptainer-12345678901.scope'],
  ['/nomad.slice', 'systemd', 'nomad.slice'],
  ['/nomad.slice/share.slice', 'systemd', 'share.slice'],
  ['/mesos/web', 'unknown', 'web'],
  ['/slurm/uid_1000', 'unknown', 'uid_1000'],
  ['/slurm/uid_1000/job_x', 'unknown', 'job_x'],
  ['/ecs', 'unknown', 'ecs'],
  ['/ecs/web/api', 'unknown', 'api'],
  ['/a/default/web', 'unknown', 'web'],
  ['/default', 'unknown', 'default'],
  ['/libpod_parent', 'unknown', 'libpod_parent'],
  ['/foo/evil.service', 'unknown', 'evil.service'],
  ['/system.slice/evil\u001b[2J.service', 'unknown', 'evil\u001b[2J.service'],
  ['/<script>alert(1)</script>', 'unknown', 'script>'],
  ['/\u202egpj.exe', 'unknown', '\u202egpj.exe'],
  ['/a/./b/../c', 'unknown', 'c'],
  ['/constructor', 'unknown', 'constructor'],
  ['/__proto__', 'unknown', '__proto__'],
  ['/{hex}', 'unknown', '{hex}'],
  [`/${'x'.repeat(5000)}`, 'unknown', 'x'.repeat(255)],
];
