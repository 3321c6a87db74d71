/** Who serves a container's own file systems, to be stopped in the middle of it. */
import { host } from './shell.js';

/** The pid of the fuse2fs that has something mounted below a folder. */
export async function fuseServerOf(folder: string): Promise<string> {
  return host(`ps -C fuse2fs -o pid=,args= | grep -F ${folder} | awk '{ print $1 }'`);
}
