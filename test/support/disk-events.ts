import { readFileSync } from 'node:fs';

/** Finds the DEVPATHs of a disk that is there now, and of what goes with it: its partitions and its bdi. */
export function eventsOfDisk(name: string): RegExp {
  const devno = readFileSync(`/sys/block/${name}/dev`, 'utf8').trim();
  return new RegExp(`/block/${name}(/|$)|/bdi/${devno}$`);
}
