// Which expressions have a value that is known from the text alone.

/** Functions and methods that make constants of constants. */
const PURE = new Set(['Array', 'Boolean', 'Number', 'Object', 'String', 'Set', 'parseInt', 'parseFloat', 'BigInt']);
const MUTATORS = new Set(['push', 'unshift', 'splice', 'set', 'add', 'assign']);
const WITH_INDEX = new Set(['map', 'flatMap', 'filter', 'forEach']);

/** The name of what a call calls: `client.get()` is a call of `get`. */
export function calledName({ callee }) {
  if (callee.type === 'Identifier') return callee.name;
  return callee.type === 'MemberExpression' && !callee.computed ? callee.property.name : '';
}

/**
 * Decides about the expressions of one file.
 *
 * `numbers`: whether what is a number in any case (`list.length`, an index) counts as a constant, since it cannot carry text.
 * `rebound`: whether a variable may be bound several times, each time to a constant.
 */
export class Constants {
  #source;
  #numbers;
  #rebound;

  constructor(source, { numbers, rebound }) {
    this.#source = source;
    this.#numbers = numbers;
    this.#rebound = rebound;
  }

  /** Whether `node` is made of literals only, directly or through variables. `seen` breaks cycles. */
  has(node, seen = new Set()) {
    if (!node || seen.has(node)) return true;
    const all = (nodes) => nodes.every((each) => this.has(each, seen));
    switch (node.type) {
      case 'Literal':
      case 'TemplateElement':
        return true;
      case 'TemplateLiteral':
        return all(node.expressions);
      case 'UnaryExpression':
      case 'SpreadElement':
      case 'UpdateExpression':
        return (
          node.operator === 'typeof' ||
          (this.#numbers && node.type === 'UpdateExpression') ||
          this.has(node.argument, seen)
        );
      case 'BinaryExpression':
        return (this.#numbers && /^[-*/%|&^]$|^\*\*$|^<<$|^>>>?$/.test(node.operator)) || all([node.left, node.right]);
      case 'LogicalExpression':
        return all([node.left, node.right]);
      case 'ConditionalExpression':
        // What is chosen is a constant even when the choice is not; its value is known only if both are.
        return all(this.#rebound ? [node.consequent, node.alternate] : [node.test, node.consequent, node.alternate]);
      case 'ArrayExpression':
        return all(node.elements);
      case 'ObjectExpression':
        return all(node.properties.map((property) => property.value ?? property));
      case 'TSAsExpression':
      case 'TSNonNullExpression':
      case 'TSSatisfiesExpression':
      case 'ChainExpression':
        return this.has(node.expression, seen);
      case 'MemberExpression':
        if (this.#numbers && !node.computed && node.property.name === 'length') return true;
        return this.has(node.object, seen) && (!node.computed || this.#rebound || this.has(node.property, seen));
      case 'ArrowFunctionExpression':
      case 'FunctionExpression':
        return this.#returns(node).every((each) => this.has(each, seen));
      case 'CallExpression':
      case 'NewExpression':
        return this.#call(node, seen);
      case 'Identifier':
        return ['undefined', 'NaN', 'Infinity'].includes(node.name) || this.#variable(node, seen);
      default:
        return false;
    }
  }

  #call(node, seen) {
    const name = calledName(node);
    const args = () => node.arguments.every((each) => this.has(each, seen));
    if (node.callee.type === 'Identifier') {
      if (this.#numbers && (name === 'Number' || name === 'parseInt')) return true;
      if (PURE.has(name)) return args();
      if (!this.#rebound) return false;
      const made = this.#find(node.callee)?.defs[0]?.node;
      const body = made?.type === 'VariableDeclarator' ? made.init : made;
      return /Function/.test(body?.type ?? '') && this.has({ ...body, type: 'FunctionExpression' }, seen);
    }
    if (node.callee.type !== 'MemberExpression') return false;
    if (this.#numbers && name === 'push') return true;
    return this.has(node.callee.object, seen) && args();
  }

  #variable(node, seen) {
    const variable = this.#find(node);
    if (!variable || variable.defs.length !== 1) return false;
    const [definition] = variable.defs;
    const marked = new Set(seen).add(node);
    if (definition.type === 'Parameter') return this.#callbackParameter(definition, marked);
    if (definition.type !== 'Variable') return false;
    const loop = definition.parent?.parent;
    const values = [];
    if (loop?.type === 'ForOfStatement' && loop.left === definition.parent) values.push(loop.right);
    else if (definition.node.init) values.push(definition.node.init);
    for (const reference of variable.references) {
      const { identifier } = reference;
      if (reference.isWrite() && !reference.init) values.push(writtenBy(identifier, reference));
      values.push(...mutations(identifier));
    }
    if (!this.#rebound && (values.length > 1 || /^(Array|Object|New)Expression$/.test(values[0]?.type ?? '')))
      return false;
    return values.length > 0 && values.every((each) => this.has(each, marked));
  }

  /** In `LIST.map((name, index) => …)`, `name` is as constant as `LIST`, and `index` is a number. */
  #callbackParameter({ node: callback, name: parameter }, seen) {
    const call = callback.parent;
    if (call?.type !== 'CallExpression' || !WITH_INDEX.has(calledName(call)) || call.arguments[0] !== callback)
      return false;
    const position = callback.params.findIndex((each) => each === parameter || contains(each, parameter));
    if (position === 1) return this.#numbers;
    return position === 0 && this.has(call.callee.object, seen);
  }

  #returns(node) {
    if (node.body.type !== 'BlockStatement') return [node.body];
    const found = [];
    const walk = (each) => {
      if (!each || typeof each.type !== 'string' || /Function|Class/.test(each.type)) return;
      if (each.type === 'ReturnStatement') found.push(each.argument);
      for (const key of this.#source.visitorKeys[each.type] ?? []) [each[key]].flat().forEach(walk);
    };
    walk(node.body);
    return found;
  }

  #find(identifier) {
    for (let scope = this.#source.getScope(identifier); scope; scope = scope.upper) {
      const variable = scope.set.get(identifier.name);
      if (variable) return variable;
    }
    return undefined;
  }
}

function writtenBy(identifier, reference) {
  return reference.writeExpr ?? identifier.parent;
}

/** The values that `list.push(value)` and the like put into a variable's container. */
function mutations({ parent }) {
  const call = parent?.type === 'MemberExpression' ? parent.parent : undefined;
  return call?.type === 'CallExpression' && call.callee === parent && MUTATORS.has(calledName(call))
    ? call.arguments
    : [];
}

function contains(pattern, identifier) {
  return pattern.range[0] <= identifier.range[0] && identifier.range[1] <= pattern.range[1];
}
