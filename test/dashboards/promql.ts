/** What a PromQL expression asks for. The parser is Prometheus' own, of its web interface. */
import { parser } from '@prometheus-io/lezer-promql';

export interface Matcher {
  label: string;
  operator: string;
  value: string;
}

export interface Selector {
  metric: string;
  matchers: Matcher[];
}

export interface Query {
  selectors: Selector[];
  /** The labels of every `by`, `on`, `without`, `ignoring` and group_left. */
  groupings: string[];
}

type SyntaxNode = ReturnType<typeof parser.parse>['topNode'];

/** @throws where it is not PromQL */
export function parseQuery(expr: string): Query {
  const query: Query = { selectors: [], groupings: [] };
  const text = ({ from, to }: { from: number; to: number }): string => expr.slice(from, to);
  const { topNode } = parser.parse(expr);
  topNode.cursor().iterate((node) => {
    if (node.type.isError) throw new Error(`no PromQL at ${node.from}: ${expr}`);
    if (node.name === 'GroupingLabels')
      query.groupings.push(...node.node.getChildren('LabelName').map((label) => text(label)));
    if (node.name === 'VectorSelector') query.selectors.push(readSelector(node.node, text));
  });
  return query;
}

function readSelector(node: SyntaxNode, text: (node: SyntaxNode) => string): Selector {
  const name = node.getChild('Identifier');
  const matchers = node.getChild('LabelMatchers')?.getChildren('UnquotedLabelMatcher') ?? [];
  const part = (matcher: SyntaxNode, kind: string): string => {
    const child = matcher.getChild(kind);
    return child === null ? '' : text(child);
  };
  return {
    metric: name === null ? '' : text(name),
    matchers: matchers.map((matcher) => ({
      label: part(matcher, 'LabelName'),
      operator: part(matcher, 'MatchOp'),
      value: part(matcher, 'StringLiteral').slice(1, -1),
    })),
  };
}
