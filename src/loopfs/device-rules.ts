/** What a container's device cgroup must allow, in the forms of those who write it. */

/** Of linux.resources.devices in an OCI config.json. */
export interface OciDeviceRule {
  allow: true;
  type: 'b';
  major: number;
  access: 'rwm';
}

/** LOOP_MAJOR, and BLOCK_EXT_MAJOR for partitions, whose minors are dynamic. */
const MAJORS = [7, 259] as const;

/**
 * All loop devices and all extended block devices: the cgroup can't be narrower, since numbers are not known
 * beforehand. Nodes of other devices don't exist in the container, and only the host's root can make any in a user
 * namespace's stead (mknod of a block device is EPERM there).
 */
export function deviceRules(): readonly OciDeviceRule[] {
  return MAJORS.map((major) => ({ allow: true, type: 'b', major, access: 'rwm' }));
}

/** `b 7:* rwm`: a line of devices.allow of cgroup v1, and what lxc and Docker take. */
export function deviceRuleLines(): readonly string[] {
  return MAJORS.map((major) => `b ${major}:* rwm`);
}

export interface RuntimeRules {
  oci: string;
  docker: string;
  lxc: string;
  nspawn: string;
}

/** What to write where, to be printed. */
export function deviceRuleTexts(): RuntimeRules {
  return {
    oci: JSON.stringify({ linux: { resources: { devices: deviceRules() } } }),
    docker: deviceRuleLines()
      .map((line) => `--device-cgroup-rule '${line}'`)
      .join(' '),
    lxc: deviceRuleLines()
      .map((line) => `lxc.cgroup2.devices.allow = ${line}`)
      .join('\n'),
    nspawn: ['[Service]', 'DeviceAllow=block-loop rwm', 'DeviceAllow=block-blkext rwm'].join('\n'),
  };
}
