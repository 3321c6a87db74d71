/** Certificates of a test's own authority, made by openssl. */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Pair {
  certFile: string;
  keyFile: string;
  cert: Buffer;
  key: Buffer;
}

/** Files NAME.crt and NAME.key in `folder`; with `ca` signed by it, else by itself. */
export function makeCertificate(folder: string, name: string, ca?: Pair, san = 'IP:127.0.0.1'): Pair {
  const [certFile, keyFile] = [join(folder, `${name}.crt`), join(folder, `${name}.key`)];
  const openssl = (...args: string[]) =>
    execFileSync('openssl', args, { stdio: ['ignore', 'pipe', 'ignore'] });
  openssl('ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', keyFile);
  const subject = ['-subj', `/CN=${name}`];
  if (ca) {
    const request = join(folder, `${name}.csr`);
    const extensions = join(folder, `${name}.ext`);
    writeFileSync(extensions, `subjectAltName=${san}\n`);
    openssl('req', '-new', '-key', keyFile, '-out', request, ...subject);
    const signer = ['-CA', ca.certFile, '-CAkey', ca.keyFile, '-CAcreateserial', '-extfile', extensions];
    openssl('x509', '-req', '-in', request, '-days', '2', '-out', certFile, ...signer);
  } else openssl('req', '-x509', '-new', '-key', keyFile, '-days', '2', '-out', certFile, ...subject);
  return { certFile, keyFile, cert: readFileSync(certFile), key: readFileSync(keyFile) };
}
