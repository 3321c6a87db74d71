/** Partitions by number, whatever tables the kernel can read. Debian 13 has no addpart and delpart any more. */

const SECTOR_BYTES = 512;
const BLKPG_ADD_PARTITION = 1;
const BLKPG_DEL_PARTITION = 2;

/** A shell command that adds a partition; `start` and `length` in sectors. */
export function addPartition(device: string, number: number, start: number, length: number): string {
  return blkpg(device, BLKPG_ADD_PARTITION, number, start * SECTOR_BYTES, length * SECTOR_BYTES);
}

export function deletePartition(device: string, number: number): string {
  return blkpg(device, BLKPG_DEL_PARTITION, number, 0, 0);
}

/** struct blkpg_ioctl_arg and, behind its pointer, struct blkpg_partition (linux/blkpg.h). */
function blkpg(device: string, operation: number, number: number, start: number, length: number): string {
  const script = [
    'import ctypes, fcntl, os, struct, sys',
    'device, (operation, *numbers) = sys.argv[1], map(int, sys.argv[2:])',
    'partition = ctypes.create_string_buffer(struct.pack("qqi132x", *numbers))',
    'argument = struct.pack("iiiP", operation, 0, len(partition), ctypes.addressof(partition))',
    'fcntl.ioctl(os.open(device, os.O_RDONLY), 0x1269, argument)',
  ].join('\n');
  return `python3 -c '${script}' ${device} ${operation} ${start} ${length} ${number}`;
}
