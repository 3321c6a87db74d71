/**
 * Known listeners that act for containers, by what only the host's root can give them. docs/receivers.md says of each what it
 * listens for, and of others why they are not here.
 */

export const PRESETS = {
  /**
   * Incus and LXD listen to the kernel and to udevd (cmd/incusd/devices.go), and pass on to containers what these are
   * configured to get. The units are those of the packages and of the snap.
   */
  incusd: ['unit:incus.service', 'unit:lxd.service', 'unit:snap.lxd.daemon.service'],
  /**
   * Rook's discovery (pkg/daemon/discover/discover.go) runs udevadm monitor; the RBD plugin of Ceph-CSI runs `rbd map`, which
   * waits for the kernel's event of its device (src/krbd.cc). By the names of their own charts, in the namespaces that
   * those install to: a name elsewhere could be a tenant's.
   */
  'csi-drivers': [
    'container:rook-ceph/rook-discover-*/rook-discover',
    'container:rook-ceph/csi-rbdplugin-*/csi-rbdplugin',
    'container:rook-ceph/rook-ceph.rbd.csi.ceph.com-nodeplugin-*/csi-rbdplugin',
    'container:ceph-csi-rbd/ceph-csi-rbd-nodeplugin-*/csi-rbdplugin',
  ],
} as const satisfies Record<string, readonly string[]>;

export type PresetName = keyof typeof PRESETS;
export const PRESET_NAMES = Object.keys(PRESETS) as PresetName[];
