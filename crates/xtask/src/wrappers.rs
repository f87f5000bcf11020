//! `cargo xtask wrappers`: writes the part of the wrappers' form that follows from the catalogue of layers.
//!
//! `galaxy-tools/layers.xml` is generated and committed, so that Galaxy and planemo need no Rust. A test and `--check` hold it to the
//! catalogue: what the form offers is what the programs can do, no more and no less.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use galaxy_burn_core::keras::layers::{FormField, FormKind, KeywordSpec, LayerSpec, catalogue};
use quick_xml::events::{BytesCData, BytesText, Event};
use quick_xml::writer::Writer;

/// Where the file is, and whether only to look.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The wrappers' directory.
    #[arg(long, value_name = "DIR", default_value = "galaxy-tools")]
    dir: PathBuf,
    /// Write nothing; fail when the committed file differs from the catalogue.
    #[arg(long)]
    check: bool,
}

/// Writes `layers.xml`, or checks it.
///
/// # Errors
///
/// The file cannot be read or written, or it differs when checked.
pub fn run(args: &Args) -> Result<()> {
    let path = args.dir.join("layers.xml");
    let layers = layers_xml(catalogue())?;
    if args.check {
        let committed = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        if committed != layers {
            bail!(
                "{} differs from the catalogue of layers: run `cargo xtask wrappers` and commit it",
                path.display()
            );
        }
        println!("{} is up to date", path.display());
    } else {
        fs::write(&path, layers).with_context(|| format!("cannot write {}", path.display()))?;
        println!("{} layers in {}", catalogue().len(), path.display());
    }
    Ok(())
}

type Xml = Writer<Vec<u8>>;

/// The macros of the form: `sequential_layer` and `functional_layer`, one case per layer, whose fields they share; and
/// `@HELP_LAYERS@`, a line on each.
fn layers_xml(layers: &[LayerSpec]) -> Result<String> {
    let mut xml = Writer::new_with_indent(Vec::new(), b' ', 4);
    xml.create_element("macros").write_inner_content(|xml| {
        xml.write_event(Event::Comment(BytesText::new(
            " Written by `cargo xtask wrappers` from the catalogue of layers. Changes made here are lost. ",
        )))?;
        layers.iter().try_for_each(|layer| fields(xml, layer))?;
        for form in [Form::Sequential, Form::Functional] {
            let offered: Vec<&LayerSpec> = layers.iter().filter(|layer| form.offers(layer)).collect();
            xml.create_element("xml")
                .with_attribute(("name", form.macro_name()))
                .write_inner_content(|xml| {
                    xml.create_element("conditional")
                        .with_attribute(("name", "layer_selection"))
                        .write_inner_content(|xml| {
                            layer_types(xml, &offered)?;
                            offered.iter().try_for_each(|layer| case(xml, layer, form))
                        })?;
                    Ok(())
                })?;
        }
        xml.create_element("token")
            .with_attribute(("name", "@HELP_LAYERS@"))
            .write_cdata_content(BytesCData::new(help(layers)))?;
        Ok(())
    })?;
    let mut text = String::from_utf8(xml.into_inner()).context("the generated XML is not UTF-8")?;
    text.push('\n');
    Ok(text)
}

/// The two kinds of models.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Each layer takes what the one before it gives.
    Sequential,
    /// Layers say whose outputs they take.
    Functional,
}

impl Form {
    fn macro_name(self) -> &'static str {
        match self {
            Self::Sequential => "sequential_layer",
            Self::Functional => "functional_layer",
        }
    }

    fn offers(self, layer: &LayerSpec) -> bool {
        self == Self::Functional || layer.in_sequential()
    }
}

/// The choice of the layer's type; the first layer of the catalogue is chosen at first.
fn layer_types(xml: &mut Xml, layers: &[&LayerSpec]) -> io::Result<()> {
    xml.create_element("param")
        .with_attributes([
            ("name", "layer_type"),
            ("type", "select"),
            ("label", "Choose the type of layer"),
        ])
        .write_inner_content(|xml| {
            layers.iter().enumerate().try_for_each(|(index, layer)| {
                option(
                    xml,
                    layer.layer_type,
                    &format!("{} -- {}", layer.group, layer.layer_type),
                    index == 0,
                )
            })
        })?;
    Ok(())
}

fn option(xml: &mut Xml, value: &str, text: &str, selected: bool) -> io::Result<()> {
    let mut option = xml.create_element("option").with_attribute(("value", value));
    if selected {
        option = option.with_attribute(("selected", "true"));
    }
    option.write_text_content(BytesText::new(text))?;
    Ok(())
}

/// The name of the macro with a layer's fields.
fn fields_macro(layer: &LayerSpec) -> String {
    format!("fields_of_{}", layer.layer_type)
}

fn has_fields(layer: &LayerSpec) -> bool {
    !layer.form.is_empty() || layer.has_kwargs
}

/// The macro with the fields of one layer, which both forms have.
fn fields(xml: &mut Xml, layer: &LayerSpec) -> io::Result<()> {
    if !has_fields(layer) {
        return Ok(());
    }
    xml.create_element("xml")
        .with_attribute(("name", fields_macro(layer).as_str()))
        .write_inner_content(|xml| {
            layer.form.iter().try_for_each(|field| param(xml, field))?;
            if layer.has_kwargs {
                kwargs(xml, &layer.kwargs)
            } else {
                Ok(())
            }
        })?;
    Ok(())
}

/// One layer in a form: whose outputs it takes, if it is asked, and its fields.
fn case(xml: &mut Xml, layer: &LayerSpec, form: Form) -> io::Result<()> {
    let link = form == Form::Functional && layer.group != "Input";
    let when = xml.create_element("when").with_attribute(("value", layer.layer_type));
    if !has_fields(layer) && !link {
        when.write_empty()?;
        return Ok(());
    }
    when.write_inner_content(|xml| {
        if link && layer.group == "Merge" {
            connection(
                xml,
                "merging_layers",
                "text",
                "[ ]",
                "Merging layers",
                "Numbers of the layers whose outputs it takes, e.g. [2, 5]; the first LAYER is number 1",
            )?;
        } else if link {
            connection(
                xml,
                "inbound_nodes",
                "integer",
                "",
                "Inbound nodes",
                "Number of the layer whose output it takes; the first LAYER is number 1. Empty: the layer before",
            )?;
        }
        if has_fields(layer) {
            xml.create_element("expand")
                .with_attribute(("macro", fields_macro(layer).as_str()))
                .write_empty()?;
        }
        Ok(())
    })?;
    Ok(())
}

/// The field that says whose outputs a layer takes.
fn connection(xml: &mut Xml, name: &str, kind: &str, value: &str, label: &str, help: &str) -> io::Result<()> {
    let help = sentence(help);
    let param = xml
        .create_element("param")
        .with_attributes([("name", name), ("type", kind), ("value", value)]);
    if kind == "integer" {
        param
            .with_attributes([
                ("min", "1"),
                ("optional", "true"),
                ("label", label),
                ("help", help.as_str()),
            ])
            .write_empty()?;
    } else {
        param
            .with_attributes([("label", label), ("help", help.as_str())])
            .write_inner_content(|xml| checked_text(xml, Some(NUMBERS)))?;
    }
    Ok(())
}

/// A pattern that a text must match, and what is said if it does not.
type Syntax = (&'static str, &'static str);

const NUMBERS: Syntax = (
    r"^[\s\d,()\[\]]*$",
    "Numbers with commas between them, in brackets: [2, 5]",
);
const SHAPE: Syntax = (
    r"^\s*[(\[]?\s*(None|-1|\d+)\s*(,\s*(None|-1|\d+)\s*)*,?\s*[)\]]?\s*$",
    "A shape is sizes with commas between them, in parentheses: (28, 28, 1); one size needs a comma, too: (784, )",
);
const SIZES: Syntax = (
    r"^\s*((None|[(\[]?\s*0*[1-9]\d*\s*(,\s*0*[1-9]\d*\s*)*,?\s*[)\]]?)\s*)?$",
    "One positive number, or one for each axis in parentheses: (3, 3)",
);

/// What the text of a field must look like, where that can be said with a pattern.
fn syntax(kind: FormKind) -> Option<Syntax> {
    match kind {
        FormKind::Shape => Some(SHAPE),
        FormKind::Sizes(_) => Some(SIZES),
        FormKind::Margins(_) => Some(NUMBERS),
        _ => None,
    }
}

fn param(xml: &mut Xml, field: &FormField) -> io::Result<()> {
    if field.kind == FormKind::Constraint {
        return constraint(xml, field);
    }
    let mut attributes = vec![("name", field.name.to_owned())];
    let mut add = |name, value: &dyn ToString| attributes.push((name, value.to_string()));
    let default = field.default.as_deref().unwrap_or("");
    match &field.kind {
        FormKind::Integer { min } => {
            add("type", &"integer");
            add("value", &default);
            if let Some(min) = min {
                add("min", min);
            }
        }
        FormKind::Float { min, max } => {
            add("type", &"float");
            add("value", &default);
            if let Some(min) = min {
                add("min", min);
            }
            if let Some(max) = max {
                add("max", max);
            }
        }
        FormKind::Text | FormKind::Shape | FormKind::Sizes(_) | FormKind::Margins(_) | FormKind::Constraint => {
            add("type", &"text");
            add("value", &default);
        }
        FormKind::Select(_) => add("type", &"select"),
        FormKind::Boolean => {
            add("type", &"boolean");
            // The values that saved workflows of the original tools hold.
            add("truevalue", &"booltrue");
            add("falsevalue", &"boolfalse");
            add("checked", &(default == "True"));
        }
    }
    if field.optional {
        add("optional", &"true");
    }
    add("label", &label(field));
    add("help", &sentence(field.help));
    let element = xml
        .create_element("param")
        .with_attributes(attributes.iter().map(|(name, value)| (*name, value.as_str())));
    match &field.kind {
        FormKind::Select(names) => {
            element.write_inner_content(|xml| {
                names
                    .iter()
                    .try_for_each(|name| option(xml, name, name, *name == default))
            })?;
        }
        FormKind::Integer { .. } | FormKind::Float { .. } | FormKind::Boolean => {
            element.write_empty()?;
        }
        FormKind::Text | FormKind::Shape | FormKind::Sizes(_) | FormKind::Margins(_) | FormKind::Constraint => {
            let syntax = syntax(field.kind);
            element.write_inner_content(|xml| checked_text(xml, syntax))?;
        }
    }
    Ok(())
}

/// The choice of a constraint and its parameters, as the original form groups them.
fn constraint(xml: &mut Xml, field: &FormField) -> io::Result<()> {
    let number = |name, label, value: &str, help| FormField {
        name,
        kind: FormKind::Float {
            min: Some(0.0),
            max: None,
        },
        default: Some(value.to_owned()),
        optional: false,
        label,
        help,
    };
    let axis = || FormField {
        kind: FormKind::Text,
        ..number(
            "axis",
            "Axis",
            "0",
            "Axis along which norms are taken, or several, e.g. [0, 1]",
        )
    };
    let largest = |value| number("max_value", "Maximum", value, "The largest norm");
    let kinds = [
        ("None", vec![]),
        ("MaxNorm", vec![largest("2.0"), axis()]),
        ("NonNeg", vec![]),
        ("UnitNorm", vec![axis()]),
        (
            "MinMaxNorm",
            vec![
                number("min_value", "Minimum", "0.0", "The smallest norm"),
                largest("1.0"),
                number(
                    "rate",
                    "Rate",
                    "1.0",
                    "Part of the way that a norm is moved at once: 1 for all of it",
                ),
                axis(),
            ],
        ),
    ];
    xml.create_element("conditional")
        .with_attribute(("name", field.name))
        .write_inner_content(|xml| {
            xml.create_element("param")
                .with_attributes([
                    ("name", "constraint_type"),
                    ("type", "select"),
                    ("label", label(field).as_str()),
                    ("help", sentence(field.help).as_str()),
                ])
                .write_inner_content(|xml| {
                    kinds
                        .iter()
                        .try_for_each(|(kind, _)| option(xml, kind, kind, *kind == "None"))
                })?;
            kinds.iter().try_for_each(|(kind, fields)| {
                let when = xml.create_element("when").with_attribute(("value", *kind));
                if fields.is_empty() {
                    when.write_empty()?;
                    return Ok(());
                }
                when.write_inner_content(|xml| {
                    xml.create_element("section")
                        .with_attributes([
                            ("name", "constraint_options"),
                            ("title", "Constraint options"),
                            ("expanded", "true"),
                        ])
                        .write_inner_content(|xml| fields.iter().try_for_each(|field| param(xml, field)))?;
                    Ok(())
                })?;
                Ok(())
            })
        })?;
    Ok(())
}

/// The label in words, with Keras's name where the words do not spell it.
fn label(field: &FormField) -> String {
    if field.label.to_lowercase().replace(' ', "_") == field.name {
        field.label.to_owned()
    } else {
        format!("{} ({})", field.label, field.name)
    }
}

/// The text field for Python keyword arguments, with the names and defaults that it takes.
fn kwargs(xml: &mut Xml, keywords: &[KeywordSpec]) -> io::Result<()> {
    let defaults: Vec<String> = keywords
        .iter()
        .map(|keyword| format!("{}={}", keyword.name, keyword.default))
        .collect();
    let help = format!("As in Python, separated by commas. Without it: {}", defaults.join(", "));
    xml.create_element("param")
        .with_attributes([
            ("name", "kwargs"),
            ("type", "text"),
            ("value", ""),
            ("optional", "true"),
            ("label", "Type in key words arguments if different from the default"),
            ("help", help.as_str()),
        ])
        .write_inner_content(text_as_typed)?;
    Ok(())
}

/// The inside of a text field: the text as it was typed, checked in the browser already.
fn checked_text(xml: &mut Xml, syntax: Option<Syntax>) -> io::Result<()> {
    text_as_typed(xml)?;
    if let Some((pattern, message)) = syntax {
        xml.create_element("validator")
            .with_attributes([("type", "regex"), ("message", message)])
            .write_text_content(BytesText::new(pattern))?;
    }
    Ok(())
}

fn text_as_typed(xml: &mut Xml) -> io::Result<()> {
    xml.create_element("expand")
        .with_attribute(("macro", "text_as_typed"))
        .write_empty()?;
    Ok(())
}

/// One line of reStructuredText per layer.
fn help(layers: &[LayerSpec]) -> String {
    let mut text = String::from("\n");
    for layer in layers {
        // A String takes whatever is written to it.
        let _ = writeln!(text, "- *{}*: {}", layer.layer_type, sentence(layer.help));
    }
    text
}

fn sentence(text: &str) -> String {
    if text.ends_with(['.', '?']) {
        text.to_owned()
    } else {
        format!("{text}.")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(name: &'static str, label: &'static str, kind: FormKind) -> FormField {
        FormField {
            name,
            kind,
            default: None,
            optional: false,
            label,
            help: "What it is",
        }
    }

    fn layer(form: Vec<FormField>) -> LayerSpec {
        LayerSpec {
            layer_type: "Dense",
            group: "Core",
            help: "Does something",
            form,
            has_kwargs: false,
            kwargs: vec![],
        }
    }

    #[test]
    fn the_committed_layers_are_those_of_the_catalogue() {
        let committed = include_str!("../../../galaxy-tools/layers.xml");
        let generated = layers_xml(catalogue()).expect("XML");
        assert!(committed == generated, "run `cargo xtask wrappers`");
    }

    #[test]
    fn a_layer_becomes_an_option_and_a_case() {
        let units = field("units", "Units", FormKind::Integer { min: Some(1) });
        let xml = layers_xml(&[layer(vec![units])]).expect("XML");
        assert!(
            xml.contains(r#"<option value="Dense" selected="true">Core -- Dense</option>"#),
            "{xml}"
        );
        assert!(xml.contains(r#"<when value="Dense">"#), "{xml}");
        assert!(
            xml.contains(r#"<param name="units" type="integer" value="" min="1" label="Units" help="What it is."/>"#),
            "{xml}"
        );
    }

    #[test]
    fn a_label_that_differs_from_kerass_name_shows_both() {
        let field = field("input_dim", "Input dimension", FormKind::Text);
        assert_eq!(label(&field), "Input dimension (input_dim)");
    }

    #[test]
    fn keyword_arguments_show_their_defaults() {
        let mut layer = layer(vec![]);
        layer.has_kwargs = true;
        layer.kwargs = vec![KeywordSpec {
            name: "padding",
            default: "'valid'".into(),
            expected: String::new(),
        }];
        let xml = layers_xml(&[layer]).expect("XML");
        assert!(
            xml.contains("padding='valid'") || xml.contains("padding=&apos;valid&apos;"),
            "{xml}"
        );
        assert!(xml.contains(r#"<expand macro="text_as_typed"/>"#), "{xml}");
    }

    #[test]
    fn a_functional_model_asks_for_connections_and_shares_the_fields() {
        let units = field("units", "Units", FormKind::Integer { min: Some(1) });
        let mut add = layer(vec![]);
        (add.layer_type, add.group) = ("Add", "Merge");
        let xml = layers_xml(&[layer(vec![units]), add]).expect("XML");
        let (_, functional) = xml.split_once("functional_layer").expect("both forms");
        assert!(functional.contains(r#"<param name="inbound_nodes" type="integer" value="" min="1" optional="true""#));
        assert!(functional.contains(r#"<param name="merging_layers" type="text" value="[ ]""#));
        assert_eq!(xml.matches(r#"<expand macro="fields_of_Dense"/>"#).count(), 2, "{xml}");
        assert_eq!(
            xml.matches(r#"<when value="Add">"#).count(),
            1,
            "not in a sequential model"
        );
    }
}
