/** proc_pid_mountinfo(5): what is mounted where. */
import { readFileSync } from 'node:fs';

export interface MountEntry {
  id: string;
  parent: string;
  /** Of the device that the file system is on: `7:3`. */
  devno: string;
  /** What of the file system is seen there. */
  root: string;
  point: string;
  type: string;
  source: string;
  /** Of the file system itself. */
  options: string;
}

/** Of this process's mount namespace, if no other is named, in the kernel's order. */
export function readMounts(path = '/proc/self/mountinfo'): MountEntry[] {
  return parseMounts(readFileSync(path, 'utf8'));
}

export function parseMounts(text: string): MountEntry[] {
  return text.split('\n').flatMap((line) => {
    const fields = line.split(' ');
    const [id = '', parent = '', devno = '', root = '', point = ''] = fields;
    // Behind a hyphen, after optional fields of any number.
    const [type = '', source = '', options = ''] = fields.slice(fields.indexOf('-', 6) + 1);
    return fields.length < 10
      ? []
      : [{ id, parent, devno, root, point: decodePath(point), type, source, options }];
  });
}

function decodePath(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}
