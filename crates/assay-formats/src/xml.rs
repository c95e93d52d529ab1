//! A bounded XML reader: elements and texts, entities resolved, DTDs refused to expand, namespaces dropped.

use std::borrow::Cow;
use std::collections::BTreeMap;

use quick_xml::Reader;
use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::{BytesStart, Event};

use crate::{Broken, Limits, Problems, bounded};

/// What a reader gets to see.
#[derive(Debug, PartialEq)]
pub(crate) enum Node {
    /// An element opens.
    Open(Element),
    /// The innermost element closes; its own text comes with it.
    Close(String, String),
}

/// An element without its content.
#[derive(Debug, PartialEq)]
pub(crate) struct Element {
    /// Local name.
    pub(crate) name: String,
    attributes: BTreeMap<String, String>,
}

impl Element {
    /// The attribute, empty when it is not there.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }

    /// Whether the attribute is there.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.attributes.contains_key(name)
    }

    /// The attribute as a number: whole, not negative, bounded.
    pub(crate) fn number(&self, name: &str) -> Option<u32> {
        self.get(name)
            .trim()
            .parse()
            .ok()
            .filter(|number| *number <= 10_000_000)
    }
}

/// Walks the document and calls `see` for each node, in order; every opened element is closed, also when the file is cut.
pub(crate) fn walk(
    bytes: &[u8],
    format: &'static str,
    limits: &Limits,
    problems: &mut Problems,
    mut see: impl FnMut(Node),
) -> Result<(), Broken> {
    let text = decode(bounded(bytes, limits)?);
    let malformed = |detail: String| Broken::Malformed { format, detail };
    if !text.contains('<') {
        return Err(malformed("there is no element in it".into()));
    }
    let mut reader = Reader::from_str(&text);
    reader.config_mut().check_end_names = false;
    let mut open: Vec<(String, String)> = Vec::new();
    let mut n_elements = 0_usize;
    loop {
        let event = match reader.read_event() {
            Ok(event) => event,
            Err(error) if n_elements > 0 => {
                problems.add(format!("it breaks off: {error}"));
                break;
            }
            Err(error) => return Err(malformed(error.to_string())),
        };
        match event {
            Event::Start(start) => {
                n_elements += 1;
                if n_elements > limits.elements {
                    problems.add(format!("only the first {} elements were read", limits.elements));
                    break;
                }
                if open.len() >= limits.depth {
                    return Err(Broken::OverLimit {
                        what: "nesting",
                        limit: limits.depth,
                    });
                }
                let element = element(&start, limits)?;
                open.push((element.name.clone(), String::new()));
                see(Node::Open(element));
            }
            Event::Empty(start) => {
                n_elements += 1;
                let element = element(&start, limits)?;
                let name = element.name.clone();
                see(Node::Open(element));
                see(Node::Close(name, String::new()));
            }
            Event::End(_) => {
                if let Some((name, text)) = open.pop() {
                    see(Node::Close(name, text));
                }
            }
            Event::Text(text) => add(&mut open, &text, limits),
            Event::CData(text) => add(&mut open, &text, limits),
            Event::GeneralRef(reference) => {
                let name = reference.to_string();
                let character = reference.resolve_char_ref().ok().flatten();
                let resolved = character
                    .map(|c| Cow::from(c.to_string()))
                    .or(resolve_xml_entity(&name).map(Cow::from));
                add(&mut open, &resolved.unwrap_or(Cow::from("?")), limits);
            }
            Event::Eof => break,
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => (),
        }
    }
    if n_elements == 0 {
        return Err(malformed("there is no element in it".into()));
    }
    if !open.is_empty() {
        problems.add("it is incomplete: not all elements are closed");
    }
    while let Some((name, text)) = open.pop() {
        see(Node::Close(name, text));
    }
    Ok(())
}

fn add(open: &mut [(String, String)], text: &str, limits: &Limits) {
    if let Some((_, own)) = open.last_mut()
        && own.len() < limits.text_chars * 4
    {
        own.push_str(text);
    }
}

fn element(start: &BytesStart<'_>, limits: &Limits) -> Result<Element, Broken> {
    let mut attributes = BTreeMap::new();
    for (i, attribute) in start.attributes().with_checks(false).enumerate() {
        if i >= limits.attributes {
            return Err(Broken::OverLimit {
                what: "attributes",
                limit: limits.attributes,
            });
        }
        let Ok(attribute) = attribute else { continue };
        let raw: &str = &attribute.value;
        let value = quick_xml::escape::unescape_with(raw, |name| resolve_xml_entity(name).or(Some("?")));
        let value = value.map_or_else(|_| raw.to_owned(), Cow::into_owned);
        let value: String = value.chars().take(limits.text_chars).collect();
        attributes.entry(local(attribute.key.as_ref())).or_insert(value);
    }
    Ok(Element {
        name: local(start.name().as_ref()),
        attributes,
    })
}

fn local(name: &str) -> String {
    name.rsplit(':')
        .next()
        .unwrap_or(name)
        .chars()
        .take(100)
        .collect()
}

/// UTF-8, or UTF-16 by its byte-order mark; what is neither is read lossily.
fn decode(bytes: &[u8]) -> Cow<'_, str> {
    let units = |rest: &[u8], big: bool| -> String {
        let pairs = rest.chunks_exact(2).map(|pair| {
            let pair = [pair[0], pair[1]];
            if big {
                u16::from_be_bytes(pair)
            } else {
                u16::from_le_bytes(pair)
            }
        });
        char::decode_utf16(pairs)
            .map(|c| c.unwrap_or('\u{fffd}'))
            .collect()
    };
    match bytes {
        [0xfe, 0xff, rest @ ..] => units(rest, true).into(),
        [0xff, 0xfe, rest @ ..] => units(rest, false).into(),
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8_lossy(rest),
        bytes => String::from_utf8_lossy(bytes),
    }
}
