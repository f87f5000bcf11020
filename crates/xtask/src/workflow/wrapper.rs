//! What a tool's wrapper says: its form, its command, its outputs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde_json::Value;

use super::filter;
use super::sanitizer::Sanitizer;
use super::xml::{self, Element};

/// Below this profile Galaxy writes multiple selections as one comma-joined text; above, as lists.
const OLDEST_PROFILE: (u32, u32) = (20, 5);

/// One tool.
#[derive(Debug)]
pub struct Wrapper {
    pub id: String,
    pub command: String,
    pub inputs: Vec<Input>,
    pub outputs: Vec<Output>,
}

/// One entry of the form.
#[derive(Debug)]
pub enum Input {
    Param(Param),
    Section {
        name: String,
        inputs: Vec<Input>,
    },
    Repeat {
        name: String,
        min: usize,
        max: Option<usize>,
        inputs: Vec<Input>,
    },
    Conditional {
        name: String,
        test: Param,
        cases: Vec<(String, Vec<Input>)>,
    },
}

/// One field.
#[derive(Debug)]
pub struct Param {
    pub name: String,
    pub optional: bool,
    pub kind: ParamKind,
}

#[derive(Debug)]
pub enum ParamKind {
    Data,
    Text {
        default: Option<String>,
        sanitizer: Sanitizer,
    },
    Integer {
        default: Option<i64>,
        min: Option<i64>,
        max: Option<i64>,
    },
    Float {
        default: Option<f64>,
        min: Option<f64>,
        max: Option<f64>,
    },
    Boolean {
        checked: bool,
        truevalue: String,
        falsevalue: String,
    },
    /// `options` is `None` where Galaxy would read them from a dataset.
    Select {
        options: Option<Vec<Choice>>,
        multiple: bool,
    },
    DataColumn {
        default: Option<String>,
    },
}

/// One option of a select.
#[derive(Debug)]
pub struct Choice {
    pub value: String,
    pub selected: bool,
}

/// One output of a job.
#[derive(Debug)]
pub struct Output {
    pub name: String,
    format: String,
    /// Path of the data input whose datatype this output has.
    format_source: Option<String>,
    /// File in the job's directory; a `*` at its end stands for anything.
    pub file: String,
    filters: Vec<String>,
    /// `(input, value, format)`: the format if that input has that value.
    changes: Vec<(String, String, String)>,
}

impl Output {
    /// Whether the job makes this output.
    pub fn exists_for(&self, params: &Value) -> Result<bool> {
        for expression in &self.filters {
            if !filter::holds(expression, params).with_context(|| format!("output {:?}", self.name))? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Galaxy's datatype of this output; `inputs` are the datatypes of the connected datasets, by the input's path.
    pub fn format_for(&self, params: &Value, inputs: &BTreeMap<String, String>) -> String {
        for (input, value, format) in &self.changes {
            let found = input.split(['.', '|']).try_fold(params, |value, key| value.get(key));
            if found.and_then(Value::as_str) == Some(value) {
                return format.clone();
            }
        }
        let source = self.format_source.as_ref().and_then(|path| inputs.get(path));
        source.unwrap_or(&self.format).clone()
    }
}

/// Every wrapper below `directory`, by tool id; the XML files in it that are no tools (macros) are passed over.
pub fn find_all(directory: &Path) -> Result<BTreeMap<String, PathBuf>> {
    let mut found = BTreeMap::new();
    let mut waiting = vec![directory.to_owned()];
    while let Some(place) = waiting.pop() {
        let entries =
            std::fs::read_dir(&place).with_context(|| format!("cannot look for wrappers in {}", place.display()))?;
        for entry in entries {
            let path = entry?.path();
            // `test-data` is a link out of the directory, and holds no wrappers.
            if path.is_dir() && !path.is_symlink() {
                waiting.push(path);
            } else if path.extension().is_some_and(|extension| extension == "xml") {
                let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
                let root = xml::parse(&text).with_context(|| path.display().to_string())?;
                if root.name == "tool" {
                    found.insert(root.required("id")?.to_owned(), path);
                }
            }
        }
    }
    Ok(found)
}

/// Reads a wrapper, macros expanded.
pub fn read(path: &Path) -> Result<Wrapper> {
    let root = xml::read_expanded(path)?;
    wrapper(&root).with_context(|| format!("wrapper {}", path.display()))
}

fn wrapper(root: &Element) -> Result<Wrapper> {
    let profile = root.required("profile")?;
    let (major, minor) = profile
        .split_once('.')
        .with_context(|| format!("profile {profile:?} is not like 24.0"))?;
    ensure!(
        (major.parse()?, minor.parse()?) >= OLDEST_PROFILE,
        "profile {profile} is not supported, only 20.05 and newer"
    );
    let inputs_file = root
        .child("configfiles")
        .and_then(|files| files.child("inputs"))
        .context("<configfiles> has no <inputs name=\"inputs\" data_style=\"paths\"/>")?;
    ensure!(
        inputs_file.attribute("name") == Some("inputs") && inputs_file.attribute("data_style") == Some("paths"),
        "<configfiles><inputs> must have name=\"inputs\" and data_style=\"paths\""
    );
    Ok(Wrapper {
        id: root.required("id")?.to_owned(),
        command: root
            .child("command")
            .context("the wrapper has no <command>")?
            .text
            .clone(),
        inputs: root.child("inputs").map_or_else(|| Ok(Vec::new()), inputs)?,
        outputs: root.child("outputs").map_or_else(|| Ok(Vec::new()), outputs)?,
    })
}

fn inputs(parent: &Element) -> Result<Vec<Input>> {
    parent
        .children
        .iter()
        .map(|element| input(element).with_context(|| element.described()))
        .collect()
}

fn input(element: &Element) -> Result<Input> {
    let name = || element.required("name").map(str::to_owned);
    match element.name.as_str() {
        "param" => Ok(Input::Param(param(element)?)),
        "section" => Ok(Input::Section {
            name: name()?,
            inputs: inputs(element)?,
        }),
        "repeat" => Ok(Input::Repeat {
            name: name()?,
            min: number(element, "min")?.unwrap_or(0),
            max: number(element, "max")?,
            inputs: inputs(element)?,
        }),
        "conditional" => {
            let test = param(element.child("param").context("the conditional has no selector")?)?;
            let cases = element
                .children_named("when")
                .map(|when| Ok((when.required("value")?.to_owned(), inputs(when)?)));
            Ok(Input::Conditional {
                name: name()?,
                test,
                cases: cases.collect::<Result<_>>()?,
            })
        }
        other => bail!("<{other}> in a form is not supported"),
    }
}

fn number<T: std::str::FromStr>(element: &Element, attribute: &str) -> Result<Option<T>> {
    match element.attribute(attribute).map(str::trim) {
        None | Some("") => Ok(None),
        Some(text) => text
            .parse()
            .map(Some)
            .map_err(|_| anyhow!("{attribute}={text:?} is not a number of the parameter's type")),
    }
}

fn param(element: &Element) -> Result<Param> {
    let name = match (element.attribute("name"), element.attribute("argument")) {
        (Some(name), _) => name.to_owned(),
        (None, Some(argument)) => argument.trim_start_matches('-').replace('-', "_"),
        (None, None) => bail!("a <param> has no name"),
    };
    let multiple = element.flag("multiple").unwrap_or(false);
    let kind = match element.required("type")? {
        "data" if multiple => bail!("several datasets in one input are not supported"),
        "data" => ParamKind::Data,
        "text" | "hidden" => ParamKind::Text {
            default: element.attribute("value").map(str::to_owned),
            sanitizer: Sanitizer::of(element)?,
        },
        "integer" => ParamKind::Integer {
            default: number(element, "value")?,
            min: number(element, "min")?,
            max: number(element, "max")?,
        },
        "float" => ParamKind::Float {
            default: number(element, "value")?,
            min: number(element, "min")?,
            max: number(element, "max")?,
        },
        "boolean" => ParamKind::Boolean {
            checked: element
                .flag("checked")
                .or_else(|| element.flag("value"))
                .unwrap_or(false),
            truevalue: element.attribute("truevalue").unwrap_or("true").to_owned(),
            falsevalue: element.attribute("falsevalue").unwrap_or("false").to_owned(),
        },
        "select" => ParamKind::Select {
            options: options(element)?,
            multiple,
        },
        "data_column" => ParamKind::DataColumn {
            default: element.attribute("value").map(str::to_owned),
        },
        other => bail!("parameters of type {other:?} are not supported"),
    };
    // Galaxy lets a multiple selection be empty unless the wrapper forbids it.
    let optional = element
        .flag("optional")
        .unwrap_or(matches!(kind, ParamKind::Select { multiple: true, .. }));
    Ok(Param { name, optional, kind })
}

fn options(element: &Element) -> Result<Option<Vec<Choice>>> {
    if element.child("options").is_some() || element.attribute("dynamic_options").is_some() {
        return Ok(None);
    }
    element
        .children_named("option")
        .map(|option| {
            let value = option
                .attribute("value")
                .unwrap_or_else(|| option.text.trim())
                .to_owned();
            Ok(Choice {
                value,
                selected: option.flag("selected").unwrap_or(false),
            })
        })
        .collect::<Result<_>>()
        .map(Some)
}

fn outputs(parent: &Element) -> Result<Vec<Output>> {
    parent
        .children
        .iter()
        .map(|element| output(element).with_context(|| element.described()))
        .collect()
}

fn output(element: &Element) -> Result<Output> {
    ensure!(
        element.name == "data",
        "<{}> in the outputs is not supported",
        element.name
    );
    let mut filters = Vec::new();
    let mut changes = Vec::new();
    for part in &element.children {
        match part.name.as_str() {
            "filter" => filters.push(part.text.trim().to_owned()),
            "change_format" => {
                for when in part.children_named("when") {
                    let text = |name| when.required(name).map(str::to_owned);
                    changes.push((text("input")?, text("value")?, text("format")?));
                }
            }
            "actions" => {}
            other => bail!("<{other}> in an output is not supported"),
        }
    }
    let format_source = element.attribute("format_source").map(str::to_owned);
    // Without a datatype of its own, an output is plain "data" until the source tells.
    let format = match &format_source {
        Some(_) => element.attribute("format").unwrap_or("data"),
        None => element.required("format")?,
    };
    Ok(Output {
        name: element.required("name")?.to_owned(),
        format: format.to_owned(),
        format_source,
        file: element.required("from_work_dir")?.to_owned(),
        filters,
        changes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn tool(inputs: &str, outputs: &str) -> Result<Wrapper> {
        let text = format!(
            r#"<tool id="t" profile="24.0"><command>t --inputs '$inputs'</command>
               <configfiles><inputs name="inputs" data_style="paths"/></configfiles>
               <inputs>{inputs}</inputs><outputs>{outputs}</outputs></tool>"#
        );
        wrapper(&xml::parse(&text)?)
    }

    #[test]
    fn formats_change_with_an_input_and_filters_decide() {
        let read = tool(
            "",
            r#"<data name="o" format="html" from_work_dir="output"><filter>'a' in save</filter>
               <change_format><when input="plot.format" value="png" format="png"/></change_format></data>"#,
        )
        .unwrap();
        let output = &read.outputs[0];
        let none = BTreeMap::new();
        assert_eq!(output.format_for(&json!({"plot": {"format": "png"}}), &none), "png");
        assert_eq!(output.format_for(&json!({"plot": {"format": "svg"}}), &none), "html");
        assert!(output.exists_for(&json!({"save": ["a"]})).unwrap());
        assert!(!output.exists_for(&json!({"save": ["b"]})).unwrap());
    }

    #[test]
    fn an_output_may_have_its_inputs_datatype() {
        let read = tool(
            "",
            r#"<data name="o" format_source="scheme|model" from_work_dir="m.*"/>"#,
        )
        .unwrap();
        let given = BTreeMap::from([("scheme|model".to_owned(), "h5mlm".to_owned())]);
        assert_eq!(read.outputs[0].format_for(&json!({}), &given), "h5mlm");
        assert_eq!(read.outputs[0].format_for(&json!({}), &BTreeMap::new()), "data");
    }

    #[test]
    fn what_is_not_supported_in_a_wrapper_is_named() {
        let error = |inputs: &str, outputs: &str| format!("{:#}", tool(inputs, outputs).unwrap_err());
        assert!(
            error(r#"<param name="p" type="drill_down"/>"#, "")
                .contains(r#"param "p": parameters of type "drill_down""#)
        );
        assert!(error("", r#"<collection name="c"/>"#).contains("<collection>"));
        assert!(error("", r#"<data name="o" format="txt"/>"#).contains("from_work_dir"));
        assert!(error(r#"<param name="n" type="integer" value="x"/>"#, "").contains("not a number"));
    }

    #[test]
    fn a_wrapper_without_dataset_paths_is_refused() {
        let root = xml::parse(
            r#"<tool id="t" profile="24.0"><command>x</command><configfiles><inputs name="inputs"/></configfiles></tool>"#,
        );
        assert!(wrapper(&root.unwrap()).unwrap_err().to_string().contains("data_style"));
    }
}
