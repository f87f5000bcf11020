//! A small element tree of an XML file, with Galaxy's macros (import, expand, yield, tokens) already expanded.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;

/// Macros that expand themselves for ever are cut off here.
const DEEPEST_EXPANSION: usize = 32;

/// One element: its attributes in order, its own text (of all its text nodes together) and its child elements.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Element {
    pub name: String,
    pub attributes: Vec<(String, String)>,
    pub children: Vec<Element>,
    pub text: String,
}

impl Element {
    /// The attribute's value, if it is there.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// The attribute's value, or an error that names the element.
    pub fn required(&self, name: &str) -> Result<&str> {
        self.attribute(name)
            .with_context(|| format!("<{}> has no attribute {name}", self.described()))
    }

    /// A Galaxy boolean attribute (`true`, `True`, `yes`, `on`, `1`).
    pub fn flag(&self, name: &str) -> Option<bool> {
        self.attribute(name)
            .map(|value| matches!(value.to_ascii_lowercase().as_str(), "true" | "yes" | "on" | "1"))
    }

    /// The first child of that name.
    pub fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.name == name)
    }

    /// All children of that name.
    pub fn children_named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Element> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// `param name="epochs"`: the element as error messages call it.
    pub fn described(&self) -> String {
        match self.attribute("name").or_else(|| self.attribute("value")) {
            Some(name) => format!("{} {name:?}", self.name),
            None => self.name.clone(),
        }
    }
}

/// Parses one document into a tree; macros stay as they are.
pub fn parse(text: &str) -> Result<Element> {
    let mut reader = Reader::from_str(text);
    let mut open: Vec<Element> = Vec::new();
    let mut root = None;
    loop {
        let at = reader.buffer_position();
        let event = reader
            .read_event()
            .with_context(|| format!("not well-formed XML at byte {at}"))?;
        match event {
            Event::Start(start) => open.push(opened(&start)?),
            Event::Empty(start) => close(opened(&start)?, &mut open, &mut root)?,
            Event::End(_) => {
                let element = open.pop().context("an element is closed that was never opened")?;
                close(element, &mut open, &mut root)?;
            }
            Event::Text(text) => append(&mut open, &text.xml_content(XmlVersion::Implicit1_0)),
            Event::CData(text) => append(&mut open, &text.xml_content(XmlVersion::Implicit1_0)),
            Event::GeneralRef(entity) => {
                let resolved = match entity.resolve_char_ref()? {
                    Some(character) => character.to_string(),
                    None => named_entity(&entity.xml_content(XmlVersion::Implicit1_0))?.to_owned(),
                };
                append(&mut open, &resolved);
            }
            Event::Eof => break,
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
        }
    }
    match open.pop() {
        Some(unclosed) => bail!("<{}> is never closed", unclosed.name),
        None => root.context("the XML file holds no element"),
    }
}

fn opened(start: &BytesStart<'_>) -> Result<Element> {
    let mut attributes = Vec::new();
    for attribute in start.attributes() {
        let attribute = attribute?;
        let value = attribute.normalized_value(XmlVersion::Implicit1_0)?.into_owned();
        attributes.push((attribute.key.as_ref().to_owned(), value));
    }
    Ok(Element {
        name: start.name().as_ref().to_owned(),
        attributes,
        ..Element::default()
    })
}

fn close(element: Element, open: &mut [Element], root: &mut Option<Element>) -> Result<()> {
    match open.last_mut() {
        Some(parent) => parent.children.push(element),
        None if root.is_some() => bail!("a second root element <{}>", element.name),
        None => *root = Some(element),
    }
    Ok(())
}

fn append(open: &mut [Element], text: &str) {
    if let Some(element) = open.last_mut() {
        element.text.push_str(text);
    }
}

fn named_entity(name: &str) -> Result<&'static str> {
    Ok(match name {
        "lt" => "<",
        "gt" => ">",
        "amp" => "&",
        "apos" => "'",
        "quot" => "\"",
        _ => bail!("unknown entity &{name};"),
    })
}

/// The macros and tokens that a wrapper declares or imports.
#[derive(Default)]
struct Macros {
    bodies: BTreeMap<String, Element>,
    tokens: BTreeMap<String, String>,
}

impl Macros {
    /// Takes in a `<macros>` element; imports are relative to `directory`.
    fn declare(&mut self, macros: &Element, directory: &Path, depth: usize) -> Result<()> {
        if depth > DEEPEST_EXPANSION {
            bail!("macro files import each other without end");
        }
        for item in &macros.children {
            match item.name.as_str() {
                "import" => {
                    let path = directory.join(item.text.trim());
                    let imported = read(&path)?;
                    let beside = path.parent().unwrap_or(directory);
                    self.declare(&imported, beside, depth + 1)
                        .with_context(|| path.display().to_string())?;
                }
                "token" => {
                    self.tokens.insert(item.required("name")?.to_owned(), item.text.clone());
                }
                "xml" | "macro" if item.attribute("type").is_none_or(|kind| kind == "xml") => {
                    self.bodies.insert(item.required("name")?.to_owned(), item.clone());
                }
                _ => bail!("<{}> inside <macros> is not supported", item.described()),
            }
        }
        Ok(())
    }

    /// Replaces every `<expand>` below `element` by the macro's children. A `<yield/>` becomes what the `<expand>` encloses.
    fn expand(&self, element: &mut Element, depth: usize) -> Result<()> {
        if depth > DEEPEST_EXPANSION {
            bail!("macros expand each other without end, at <{}>", element.described());
        }
        let mut expanded = Vec::with_capacity(element.children.len());
        for mut child in std::mem::take(&mut element.children) {
            if child.name != "expand" {
                self.expand(&mut child, depth)?;
                expanded.push(child);
                continue;
            }
            let name = child.required("macro")?;
            let body = self
                .bodies
                .get(name)
                .ok_or_else(|| anyhow!("macro {name:?} is not defined"))?;
            let mut copy = body.clone();
            fill_yields(&mut copy, &child.children)?;
            replace(&mut copy, &parameters(body, &child));
            self.expand(&mut copy, depth + 1)
                .with_context(|| format!("in macro {name:?}"))?;
            expanded.append(&mut copy.children);
        }
        element.children = expanded;
        Ok(())
    }
}

/// A macro's own parameters: `<xml name="m" tokens="a" token_b="1">`, given by `<expand macro="m" a="x" token_b="2">`, stand in its
/// body as `@A@` and `@B@`.
fn parameters(body: &Element, expand: &Element) -> BTreeMap<String, String> {
    let quote = body.attribute("token_quote").unwrap_or("@");
    let mut values = BTreeMap::new();
    let mut set =
        |name: &str, value: &str| values.insert(format!("{quote}{}{quote}", name.to_uppercase()), value.to_owned());
    let declared: Vec<&str> = body
        .attribute("tokens")
        .map(|names| names.split(',').map(str::trim).collect())
        .unwrap_or_default();
    for (key, value) in &body.attributes {
        if let Some(name) = key.strip_prefix("token_").filter(|name| *name != "quote") {
            set(name, value);
        }
    }
    for (key, value) in &expand.attributes {
        if let Some(name) = key.strip_prefix("token_") {
            set(name, value);
        } else if declared.contains(&key.as_str()) {
            set(key, value);
        }
    }
    values
}

fn fill_yields(element: &mut Element, content: &[Element]) -> Result<()> {
    let mut filled = Vec::with_capacity(element.children.len());
    for mut child in std::mem::take(&mut element.children) {
        if child.name == "yield" {
            if child.attribute("name").is_some() {
                bail!("named <yield> is not supported: {}", child.described());
            }
            filled.extend_from_slice(content);
        } else {
            fill_yields(&mut child, content)?;
            filled.push(child);
        }
    }
    element.children = filled;
    Ok(())
}

fn replace(element: &mut Element, tokens: &BTreeMap<String, String>) {
    let substitute = |text: &mut String| {
        for (token, value) in tokens {
            if text.contains(token.as_str()) {
                *text = text.replace(token.as_str(), value);
            }
        }
    };
    substitute(&mut element.text);
    for (_, value) in &mut element.attributes {
        substitute(value);
    }
    for child in &mut element.children {
        replace(child, tokens);
    }
}

fn read(path: &Path) -> Result<Element> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    parse(&text).with_context(|| path.display().to_string())
}

/// Reads an XML file and expands its macros and tokens.
pub fn read_expanded(path: &Path) -> Result<Element> {
    let mut root = read(path)?;
    let directory = path.parent().unwrap_or(Path::new("."));
    let mut macros = Macros::default();
    for declared in root.children_named("macros") {
        macros
            .declare(declared, directory, 0)
            .with_context(|| path.display().to_string())?;
    }
    root.children.retain(|child| child.name != "macros");
    macros
        .expand(&mut root, 0)
        .with_context(|| path.display().to_string())?;
    // A token's value may hold further tokens; Galaxy replaces them all.
    for _ in 0..3 {
        replace(&mut root, &macros.tokens);
    }
    Ok(root)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cdata_entities_and_attributes_are_read() {
        let root =
            parse(r#"<?xml version="1.0"?><a k="1 &lt; 2">x &amp; <![CDATA[<y>]]><!-- no --><b/>&#65;</a>"#).unwrap();
        assert_eq!(root.attribute("k"), Some("1 < 2"));
        assert_eq!(root.text, "x & <y>A");
        assert_eq!(root.children[0].name, "b");
    }

    #[test]
    fn a_file_cut_off_is_an_error() {
        assert!(parse("<a><b></b>").is_err());
        assert!(parse("").unwrap_err().to_string().contains("no element"));
    }

    #[test]
    fn macros_yields_tokens_and_parameters_expand() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(
            directory.path().join("m.xml"),
            r#"<macros>
                 <token name="@V@">1.@MINOR@</token><token name="@MINOR@">2</token>
                 <xml name="inner"><param name="seed"/></xml>
                 <xml name="outer" tokens="label" token_default="7">
                   <section name="@LABEL@" value="@DEFAULT@"><expand macro="inner"/><yield/></section>
                 </xml>
               </macros>"#,
        )
        .unwrap();
        let tool = directory.path().join("t.xml");
        std::fs::write(
            &tool,
            r#"<tool version="@V@"><macros><import>m.xml</import></macros>
                 <expand macro="outer" label="s"><param name="extra"/></expand></tool>"#,
        )
        .unwrap();
        let root = read_expanded(&tool).unwrap();
        assert_eq!(root.attribute("version"), Some("1.2"));
        let section = root.child("section").unwrap();
        assert_eq!(
            (section.attribute("name"), section.attribute("value")),
            (Some("s"), Some("7"))
        );
        let names: Vec<_> = section.children.iter().map(|p| p.attribute("name").unwrap()).collect();
        assert_eq!(names, ["seed", "extra"]);
    }

    #[test]
    fn a_macro_that_contains_itself_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let tool = directory.path().join("t.xml");
        std::fs::write(
            &tool,
            r#"<tool><macros><xml name="m"><a><expand macro="m"/></a></xml></macros><expand macro="m"/></tool>"#,
        )
        .unwrap();
        let error = format!("{:#}", read_expanded(&tool).unwrap_err());
        assert!(error.contains("without end"), "{error}");
    }
}
