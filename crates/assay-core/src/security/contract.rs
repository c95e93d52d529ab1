//! The small part of an OpenAPI document that probing needs: operations, their inputs, who may call them.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::operation::Operation;

/// Most operations of one contract.
const MAX_OPERATIONS: usize = 200;
/// Deepest schema that is followed; what lies deeper (or refers to itself) may be anything.
const MAX_DEPTH: usize = 16;
/// Most schema nodes of one contract.
const MAX_NODES: usize = 20_000;

/// What can be called.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Contract {
    /// In the order of their paths.
    pub operations: Vec<OperationSpec>,
}

/// One operation with its inputs.
#[derive(Debug, Clone, PartialEq)]
pub struct OperationSpec {
    /// Method and path.
    pub operation: Operation,
    /// Whether it needs a token.
    pub secured: bool,
    /// Path, query and header parameters.
    pub parameters: Vec<Parameter>,
    /// The JSON body, where there is one.
    pub body: Option<Schema>,
    /// The fields of its successful answers, at the first level.
    pub answer_fields: BTreeMap<String, Schema>,
}

/// One parameter.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub place: Place,
    /// Whether the request is invalid without it.
    pub required: bool,
    /// Its type.
    pub schema: Schema,
}

/// Where a parameter stands in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    Path,
    Query,
    Header,
}

/// The type of a value, reduced to what a valid sample of it needs.
#[derive(Debug, Clone, PartialEq)]
pub enum Schema {
    /// A string of some format (may be empty), or one of a few choices.
    Text { format: String, choices: Vec<String> },
    /// A number, at least this much.
    Number { minimum: i64 },
    /// A truth value.
    Boolean,
    /// An array of such items.
    List(Box<Self>),
    /// An object with these fields.
    Object(BTreeMap<String, Self>),
    /// Unknown, or too deep.
    Anything,
}

/// The document cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContractError {
    #[error("the contract has no `paths`")]
    NoPaths,
    #[error("the contract has more than {MAX_OPERATIONS} operations")]
    TooManyOperations,
    #[error("the contract's schemas have more than {MAX_NODES} nodes")]
    TooManyNodes,
}

impl Contract {
    /// Reads an OpenAPI 3 document. Parts that are not understood are left out; only JSON bodies are.
    ///
    /// # Errors
    /// When there are no paths, or the document is larger than any contract written by a person.
    pub fn read(document: &Value) -> Result<Self, ContractError> {
        let paths = document["paths"].as_object().ok_or(ContractError::NoPaths)?;
        let mut reader = Reader { document, nodes: 0 };
        let secured_by_default = is_secured(&document["security"]);
        let mut operations = Vec::new();
        for (path, item) in paths {
            for method in ["get", "post", "put", "patch", "delete"] {
                let Some(details) = item[method].as_object() else {
                    continue;
                };
                if operations.len() == MAX_OPERATIONS {
                    return Err(ContractError::TooManyOperations);
                }
                let operation = Operation::new(method, path);
                operations.push(reader.operation(
                    operation,
                    &item["parameters"],
                    details,
                    secured_by_default,
                ));
            }
        }
        if reader.nodes > MAX_NODES {
            Err(ContractError::TooManyNodes)
        } else {
            Ok(Self { operations })
        }
    }

    /// The operation with this method and path.
    pub fn find(&self, operation: &Operation) -> Option<&OperationSpec> {
        self.operations.iter().find(|spec| spec.operation == *operation)
    }
}

impl Schema {
    /// A plausible value; texts hold the placeholders of `security.yaml`.
    pub fn sample(&self) -> Value {
        match self {
            Self::Text { .. } => Value::String(self.sample_text()),
            Self::Number { minimum } => json!(minimum),
            Self::Boolean => json!(true),
            Self::List(item) => json!([item.sample()]),
            Self::Object(fields) => Value::Object(
                fields
                    .iter()
                    .map(|(name, field)| (name.clone(), field.sample()))
                    .collect(),
            ),
            Self::Anything => Value::Null,
        }
    }

    /// The sample as it is written in a path, a query or a header.
    pub fn sample_text(&self) -> String {
        match self {
            Self::Text { choices, .. } if !choices.is_empty() => choices[0].clone(),
            Self::Text { format, .. } => match format.as_str() {
                "uuid" => "{{uuid}}".to_owned(),
                "date-time" => "2031-02-03T04:05:06Z".to_owned(),
                "date" => "2031-02-03".to_owned(),
                "email" => "{{nonce}}@example.org".to_owned(),
                _ => "{{nonce}}".to_owned(),
            },
            Self::Number { minimum } => minimum.to_string(),
            Self::Boolean => "true".to_owned(),
            Self::List(item) => item.sample_text(),
            Self::Object(_) | Self::Anything => "{{nonce}}".to_owned(),
        }
    }

    /// The schema of the value at a JSON pointer of an instance.
    pub fn at<'a>(&'a self, pointer: &str) -> Option<&'a Self> {
        pointer
            .split('/')
            .skip(1)
            .try_fold(self, |schema, name| match schema {
                Self::Object(fields) => fields.get(&name.replace("~1", "/").replace("~0", "~")),
                Self::List(item) => Some(&**item),
                _ => None,
            })
    }
}

/// `security: []` and an absent `security` mean that nobody needs to be known.
fn is_secured(security: &Value) -> bool {
    security
        .as_array()
        .is_some_and(|ways| !ways.is_empty() && ways.iter().all(|way| *way != json!({})))
}

struct Reader<'a> {
    document: &'a Value,
    nodes: usize,
}

impl<'a> Reader<'a> {
    fn operation(
        &mut self,
        operation: Operation,
        shared: &'a Value,
        details: &'a Map<String, Value>,
        secured_by_default: bool,
    ) -> OperationSpec {
        let own = details.get("parameters").unwrap_or(&Value::Null);
        let listed = [shared, own].into_iter().filter_map(Value::as_array).flatten();
        let mut parameters: Vec<Parameter> = Vec::new();
        for parameter in listed.filter_map(|value| self.parameter(value)) {
            parameters.retain(|known| (known.place, &known.name) != (parameter.place, &parameter.name));
            parameters.push(parameter);
        }
        for name in operation.path_parameters() {
            if !parameters
                .iter()
                .any(|known| known.place == Place::Path && known.name == name)
            {
                let schema = Schema::Text {
                    format: String::new(),
                    choices: Vec::new(),
                };
                parameters.push(Parameter {
                    name: name.to_owned(),
                    place: Place::Path,
                    required: true,
                    schema,
                });
            }
        }
        let body = details.get("requestBody").map(|body| self.resolve(body));
        let body = body.and_then(json_schema).map(|schema| self.schema(schema, 0));
        let mut answer_fields = BTreeMap::new();
        for (status, response) in details
            .get("responses")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
        {
            let schema = status
                .starts_with('2')
                .then(|| json_schema(self.resolve(response)))
                .flatten();
            if let Some(Schema::Object(fields)) = schema.map(|schema| self.schema(schema, 0)) {
                answer_fields.extend(fields);
            }
        }
        let secured = details.get("security").map_or(secured_by_default, is_secured);
        OperationSpec {
            operation,
            secured,
            parameters,
            body,
            answer_fields,
        }
    }

    fn parameter(&mut self, value: &'a Value) -> Option<Parameter> {
        let value = self.resolve(value);
        let place = match value["in"].as_str()? {
            "path" => Place::Path,
            "query" => Place::Query,
            "header" => Place::Header,
            _ => return None,
        };
        Some(Parameter {
            name: value["name"].as_str()?.to_owned(),
            place,
            required: value["required"].as_bool().unwrap_or(false),
            schema: self.schema(&value["schema"], 0),
        })
    }

    /// Follows `$ref` within the document, a bounded number of times.
    fn resolve(&self, value: &'a Value) -> &'a Value {
        let mut value = value;
        for _ in 0..MAX_DEPTH {
            let Some(pointer) = value["$ref"].as_str().and_then(|text| text.strip_prefix('#')) else {
                break;
            };
            let Some(target) = self.document.pointer(pointer) else {
                break;
            };
            value = target;
        }
        value
    }

    fn schema(&mut self, value: &'a Value, depth: usize) -> Schema {
        self.nodes += 1;
        if depth > MAX_DEPTH || self.nodes > MAX_NODES {
            return Schema::Anything;
        }
        let value = self.resolve(value);
        for combined in ["oneOf", "anyOf"] {
            let choice = value[combined]
                .as_array()
                .and_then(|all| all.iter().find(|one| !is_null(one)));
            if let Some(choice) = choice {
                return self.schema(choice, depth + 1);
            }
        }
        if let Some(parts) = value["allOf"].as_array() {
            let mut fields = BTreeMap::new();
            for part in parts {
                if let Schema::Object(more) = self.schema(part, depth + 1) {
                    fields.extend(more);
                }
            }
            return Schema::Object(fields);
        }
        if let Some(choices) = value["enum"].as_array() {
            let choices = choices
                .iter()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect();
            return Schema::Text {
                format: String::new(),
                choices,
            };
        }
        match type_name(value) {
            Some("string") => {
                let format = value["format"].as_str().unwrap_or_default().to_owned();
                let choices = value["const"].as_str().map(str::to_owned).into_iter().collect();
                Schema::Text { format, choices }
            }
            Some("integer" | "number") => Schema::Number {
                minimum: value["minimum"].as_i64().unwrap_or(1),
            },
            Some("boolean") => Schema::Boolean,
            Some("array") => Schema::List(Box::new(self.schema(&value["items"], depth + 1))),
            Some("object") => {
                let properties = value["properties"].as_object().into_iter().flatten();
                let fields = properties.map(|(name, field)| (name.clone(), self.schema(field, depth + 1)));
                Schema::Object(fields.collect())
            }
            _ => match value["const"].as_str() {
                Some(text) => Schema::Text {
                    format: String::new(),
                    choices: vec![text.to_owned()],
                },
                None => Schema::Anything,
            },
        }
    }
}

fn json_schema(body: &Value) -> Option<&Value> {
    let content = body["content"].as_object()?;
    let media = content
        .iter()
        .find(|(name, _)| name.starts_with("application/json"))?;
    media.1.get("schema")
}

fn is_null(schema: &Value) -> bool {
    schema["type"] == "null"
}

/// `type: string`, or the first of `type: [string, "null"]` that is not null; an object without a type has `properties`.
fn type_name(schema: &Value) -> Option<&str> {
    match &schema["type"] {
        Value::String(name) => Some(name),
        Value::Array(names) => names
            .iter()
            .filter_map(Value::as_str)
            .find(|name| *name != "null"),
        _ => schema["properties"].is_object().then_some("object"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn document() -> Value {
        json!({
            "security": [{"bearer": []}],
            "paths": {
                "/login": {"post": {
                    "security": [],
                    "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Login"}}}},
                    "responses": {"200": {"content": {"application/json": {"schema": {"properties": {"token": {}}}}}}}
                }},
                "/notes/{id}": {
                    "parameters": [{"name": "id", "in": "path", "required": true, "schema": {"type": "string"}}],
                    "get": {"parameters": [
                        {"name": "limit", "in": "query", "schema": {"type": "integer", "minimum": 3}},
                        {"name": "kind", "in": "query", "schema": {"enum": ["a", "b"]}},
                        {"name": "session", "in": "cookie", "schema": {"type": "string"}}
                    ]}
                }
            },
            "components": {"schemas": {"Login": {"type": "object", "properties": {
                "name": {"type": ["null", "string"]},
                "until": {"oneOf": [{"type": "null"}, {"type": "string", "format": "date"}]},
                "again": {"$ref": "#/components/schemas/Login"}
            }}}}
        })
    }

    #[test]
    fn a_document_becomes_operations() {
        let contract = Contract::read(&document()).unwrap();
        let login = contract.find(&Operation::new("post", "/login")).unwrap();
        assert!(!login.secured);
        assert_eq!(
            login.answer_fields,
            BTreeMap::from([("token".to_owned(), Schema::Anything)])
        );
        let body = login.body.as_ref().unwrap();
        assert_eq!(body.at("/name").unwrap().sample(), "{{nonce}}");
        assert_eq!(body.at("/until").unwrap().sample(), "2031-02-03");
        assert!(body.at("/again/again/name").is_some());
        assert_eq!(body.at("/nothing"), None);

        let read = contract.find(&Operation::new("get", "/notes/{id}")).unwrap();
        assert!(read.secured);
        let inputs: Vec<_> = read
            .parameters
            .iter()
            .map(|p| (p.name.as_str(), p.schema.sample_text()))
            .collect();
        let expected = [("id", "{{nonce}}"), ("limit", "3"), ("kind", "a")];
        assert_eq!(inputs, expected.map(|(name, text)| (name, text.to_owned())));
    }

    #[test]
    fn what_is_no_contract_is_refused() {
        assert_eq!(Contract::read(&json!([])), Err(ContractError::NoPaths));
        let many: Map<_, _> = (0..201).map(|n| (format!("/{n}"), json!({"get": {}}))).collect();
        assert_eq!(
            Contract::read(&json!({"paths": many})),
            Err(ContractError::TooManyOperations)
        );
        // Two references to itself per level: exponential, were it not bounded.
        let bomb = json!({"type": "object", "properties": {"a": {"$ref": "#/x"}, "b": {"$ref": "#/x"}}});
        let body = json!({"content": {"application/json": {"schema": {"$ref": "#/x"}}}});
        let document = json!({"x": bomb, "paths": {"/": {"post": {"requestBody": body}}}});
        assert_eq!(Contract::read(&document), Err(ContractError::TooManyNodes));
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let name = prop::sample::select(vec![
            "type",
            "$ref",
            "properties",
            "items",
            "oneOf",
            "enum",
            "in",
            "name",
            "get",
        ]);
        let leaf = prop_oneof![
            Just(Value::Null),
            Just(json!("object")),
            Just(json!("string")),
            Just(json!("#/paths")),
            any::<i64>().prop_map(|n| json!(n)),
        ];
        leaf.prop_recursive(6, 64, 6, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
                prop::collection::vec((name.clone(), inner), 0..5).prop_map(|fields| Value::Object(
                    fields.into_iter().map(|(k, v)| (k.to_owned(), v)).collect()
                )),
            ]
        })
    }

    proptest! {
        #[test]
        fn nothing_panics(get in any_json(), shared in any_json()) {
            let document = json!({"paths": {"/a/{b}": {"get": get, "post": shared, "parameters": shared}}});
            let contract = Contract::read(&document);
            for spec in contract.iter().flat_map(|c| &c.operations) {
                let _ = spec.body.as_ref().map(Schema::sample);
            }
        }
    }
}
