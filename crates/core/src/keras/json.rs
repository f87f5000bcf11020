//! JSON text byte for byte as Python's `json.dumps(value, indent=2)` writes it.
//!
//! Keras writes its model configurations with it; a form filled in the same way must give the same file, so that outputs can be
//! compared with plain `diff`. The differences to other writers: floats as Python's `repr`, ASCII only, no newline at the end.

use std::fmt::Write as _;

use serde_json::Value;

use crate::keras::literal::float_repr;

/// Writes `value` with an indent of two blanks and without a final newline; object keys stay in their order.
#[must_use]
pub fn to_string(value: &Value) -> String {
    let mut out = String::new();
    write_value(&mut out, value, 0);
    out
}

fn write_value(out: &mut String, value: &Value, depth: usize) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Number(number) if number.is_f64() => out.push_str(&float_repr(number.as_f64().unwrap_or_default())),
        Value::Number(number) => out.push_str(&number.to_string()),
        Value::String(text) => write_text(out, text),
        Value::Array(items) if items.is_empty() => out.push_str("[]"),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                new_line(out, index, depth + 1);
                write_value(out, item, depth + 1);
            }
            new_line(out, 0, depth);
            out.push(']');
        }
        Value::Object(entries) if entries.is_empty() => out.push_str("{}"),
        Value::Object(entries) => {
            out.push('{');
            for (index, (key, item)) in entries.iter().enumerate() {
                new_line(out, index, depth + 1);
                write_text(out, key);
                out.push_str(": ");
                write_value(out, item, depth + 1);
            }
            new_line(out, 0, depth);
            out.push('}');
        }
    }
}

fn new_line(out: &mut String, index: usize, depth: usize) {
    if index > 0 {
        out.push(',');
    }
    out.push('\n');
    out.extend(std::iter::repeat_n("  ", depth));
}

fn write_text(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            ' '..='~' => out.push(c),
            c => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    // Writing to a String cannot fail.
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn floats_are_written_as_python_writes_them() {
        // Python 3: json.dumps of each.
        let cases = [
            (1.0, "1.0"),
            (0.0, "0.0"),
            (-0.05, "-0.05"),
            (1e-4, "0.0001"),
            (1e-5, "1e-05"),
            (1e-7, "1e-07"),
            (f64::from(0.3_f32), "0.30000001192092896"),
            (f64::from(0.01_f32), "0.009999999776482582"),
            (1e15, "1000000000000000.0"),
            (1e16, "1e+16"),
            (1.5e22, "1.5e+22"),
            (123_456_789.125, "123456789.125"),
            (1e100, "1e+100"),
        ];
        for (value, expected) in cases {
            assert_eq!(to_string(&json!(value)), expected);
        }
    }

    #[test]
    fn text_is_ascii_with_pythons_escapes() {
        assert_eq!(
            to_string(&json!("ä\"\\\n\t\u{7f}\u{1f600}/")),
            r#""\u00e4\"\\\n\t\u007f\ud83d\ude00/""#
        );
    }

    #[test]
    fn nesting_is_indented_by_two_and_empty_containers_stay_on_their_line() {
        let value = json!({"b": [1, null, true], "a": {}, "c": [], "d": {"e": 0}});
        let expected = "{\n  \"b\": [\n    1,\n    null,\n    true\n  ],\n  \"a\": {},\n  \"c\": [],\n  \"d\": {\n    \"e\": 0\n  }\n}";
        assert_eq!(to_string(&value), expected);
    }
}
