/** The name of a container, from the annotations or labels that tools give it. */
import { MAX_TEXT_LENGTH, textAt } from './state-file.js';

/** Of the CRI runtimes, of the kubelet with dockershim, of CRI-O. */
const POD_KEYS = [
  [
    'io.kubernetes.cri.sandbox-namespace',
    'io.kubernetes.cri.sandbox-name',
    'io.kubernetes.cri.container-name',
    'io.kubernetes.cri.sandbox-uid',
  ],
  [
    'io.kubernetes.pod.namespace',
    'io.kubernetes.pod.name',
    'io.kubernetes.container.name',
    'io.kubernetes.pod.uid',
  ],
] as const;

const NAME_KEYS = ['nerdctl/name', 'io.kubernetes.cri-o.Name'];

export interface OciName {
  name?: string;
  pod?: string;
}

/** `NAMESPACE/POD/CONTAINER` of a pod, `NAMESPACE/POD` of its sandbox; else what the tool called it. */
export function nameOfAnnotations(annotations: unknown): OciName {
  for (const [namespaceKey, podKey, containerKey, uidKey] of POD_KEYS) {
    const pod = textAt(annotations, podKey);
    if (pod === undefined) continue;
    const parts = [textAt(annotations, namespaceKey) ?? 'default', pod, textAt(annotations, containerKey)];
    const uid = textAt(annotations, uidKey);
    const name = parts.filter((part) => part !== undefined).join('/');
    return { name: name.slice(0, MAX_TEXT_LENGTH), ...(uid !== undefined && { pod: uid }) };
  }
  for (const key of NAME_KEYS) {
    const name = textAt(annotations, key);
    if (name !== undefined) return { name };
  }
  return {};
}
