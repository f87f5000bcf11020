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

/// The macros of the form: `sequential_layer`, one case per layer, and `@HELP_LAYERS@`, a line on each.
fn layers_xml(layers: &[LayerSpec]) -> Result<String> {
    let mut xml = Writer::new_with_indent(Vec::new(), b' ', 4);
    xml.create_element("macros").write_inner_content(|xml| {
        xml.write_event(Event::Comment(BytesText::new(
            " Written by `cargo xtask wrappers` from the catalogue of layers. Changes made here are lost. ",
        )))?;
        xml.create_element("xml")
            .with_attribute(("name", "sequential_layer"))
            .write_inner_content(|xml| {
                xml.create_element("conditional")
                    .with_attribute(("name", "layer_selection"))
                    .write_inner_content(|xml| {
                        let layers: Vec<&LayerSpec> = layers.iter().filter(|layer| layer.in_sequential()).collect();
                        layer_types(xml, &layers)?;
                        layers.iter().try_for_each(|layer| case(xml, layer))
                    })?;
                Ok(())
            })?;
        xml.create_element("token")
            .with_attribute(("name", "@HELP_LAYERS@"))
            .write_cdata_content(BytesCData::new(help(layers)))?;
        Ok(())
    })?;
    let mut text = String::from_utf8(xml.into_inner()).context("the generated XML is not UTF-8")?;
    text.push('\n');
    Ok(text)
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

/// The fields of one layer.
fn case(xml: &mut Xml, layer: &LayerSpec) -> io::Result<()> {
    let when = xml.create_element("when").with_attribute(("value", layer.layer_type));
    if layer.form.is_empty() && !layer.has_kwargs {
        when.write_empty()?;
        return Ok(());
    }
    when.write_inner_content(|xml| {
        layer.form.iter().try_for_each(|field| param(xml, field))?;
        if layer.has_kwargs {
            kwargs(xml, &layer.kwargs)
        } else {
            Ok(())
        }
    })?;
    Ok(())
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
            element.write_inner_content(text_as_typed)?;
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
}
