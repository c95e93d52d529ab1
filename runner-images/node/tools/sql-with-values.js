// An ESLint rule: SQL text that a value is pasted into. Unlike other rules for this it follows constants, so that
// lists of columns and numbered placeholders are no findings.
import { Constants } from './constants.js';

const MESSAGE =
  'A value is pasted into SQL text: pass it as a parameter instead, so that it cannot change the statement.';
const STATEMENT = /^\s*(select\s[^]*\bfrom|insert\s+into|update\s+\S+\s+set|delete\s+from)\b/i;
/** Part of a statement; upper case only, because in lower case it is prose. */
const FRAGMENT = /^\s*(WHERE|AND|OR|HAVING|SET|VALUES|ORDER BY|LIMIT|OFFSET|I?LIKE)\b/;
/** Takes the place of what is pasted in. */
const PASTED = '\0';

/** The literal parts of a text that is being put together. */
function literalText(node) {
  if (node.type === 'Literal') return typeof node.value === 'string' ? node.value : PASTED;
  if (node.type === 'TemplateLiteral') return node.quasis.map((part) => part.value.cooked ?? '').join(PASTED);
  if (node.type === 'BinaryExpression' && node.operator === '+')
    return literalText(node.left) + literalText(node.right);
  return PASTED;
}

/** Tagged templates are how some drivers take parameters: their values are never pasted. */
const isPart = ({ parent }) =>
  parent.type === 'TaggedTemplateExpression' || (parent.type === 'BinaryExpression' && parent.operator === '+');

/** The rule. */
export const sqlWithValues = {
  meta: { type: 'problem', docs: { description: MESSAGE }, schema: [] },
  create(context) {
    const constants = new Constants(context.sourceCode, { numbers: true, rebound: true });
    const check = (node) => {
      if (isPart(node)) return;
      const text = literalText(node);
      if ((STATEMENT.test(text) || FRAGMENT.test(text)) && !constants.has(node))
        context.report({ node, message: MESSAGE });
    };
    return { TemplateLiteral: check, 'BinaryExpression[operator="+"]': check };
  },
};
