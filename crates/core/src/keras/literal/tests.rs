use proptest::prelude::*;

use super::*;

fn parsed(text: &str) -> Literal {
    Literal::parse(text).unwrap()
}

fn complaint(text: &str) -> String {
    Literal::parse(text).unwrap_err().to_string()
}

#[test]
fn numbers_are_read_as_python_reads_them() {
    let cases = [
        ("3", Literal::Int(3)),
        (" -3 ", Literal::Int(-3)),
        ("+3", Literal::Int(3)),
        ("1_000", Literal::Int(1000)),
        ("-9223372036854775808", Literal::Int(i64::MIN)),
        ("2.", Literal::Float(2.0)),
        (".5", Literal::Float(0.5)),
        ("1e-7", Literal::Float(1e-7)),
        ("-1.5E+3", Literal::Float(-1500.0)),
    ];
    for (text, expected) in cases {
        assert_eq!(parsed(text), expected, "{text}");
    }
}

#[test]
fn texts_have_either_quote_and_escapes() {
    assert_eq!(parsed("'same'"), Literal::Str("same".into()));
    assert_eq!(parsed("\"it's\""), Literal::Str("it's".into()));
    assert_eq!(
        parsed(r"'\n\t\\\'\x41\u00e4\U0001f600\d'"),
        Literal::Str("\n\t\\'A\u{e4}\u{1f600}\\d".into())
    );
}

#[test]
fn parentheses_make_a_tuple_only_with_a_comma() {
    assert_eq!(parsed("(784)"), Literal::Int(784));
    assert_eq!(parsed("(784, )"), Literal::Tuple(vec![Literal::Int(784)]));
    assert_eq!(parsed("()"), Literal::Tuple(vec![]));
    assert_eq!(parsed("(None, [1, 2,])").to_string(), "(None, [1, 2])");
    assert_eq!(parsed("{'a': 1, }").to_string(), "{'a': 1}");
}

#[test]
fn calls_keep_their_name_and_arguments() {
    let call = parsed("keras.regularizers.l1_l2(0.1, l2 = .2)");
    let expected = Literal::Call {
        name: "keras.regularizers.l1_l2".into(),
        args: vec![Literal::Float(0.1)],
        kwargs: vec![("l2".into(), Literal::Float(0.2))],
    };
    assert_eq!(call, expected);
}

#[test]
fn keyword_arguments_are_read_in_order() {
    let keywords = parse_keywords(" padding = 'same',\n strides=(2, 2), ").unwrap();
    let shown: Vec<String> = keywords.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(shown, ["padding='same'", "strides=(2, 2)"]);
    assert_eq!(parse_keywords("  "), Ok(vec![]));
}

#[test]
fn errors_name_the_column_and_what_was_expected() {
    let cases = [
        ("", "cannot read ``: expected a value, found the end at column 1"),
        (
            "(2, 2",
            "cannot read `(2, 2`: expected ',' or ')', found the end at column 6",
        ),
        (
            "(2; 2)",
            "cannot read `(2; 2)`: expected ',' or ')', found ';' at column 3",
        ),
        ("2 3", "cannot read `2 3`: expected nothing more, found '3' at column 3"),
        ("'same", "cannot read `'same`: the text has no closing ' at column 1"),
        ("1/2", "cannot read `1/2`: expected nothing more, found '/' at column 2"),
        (
            "3x",
            "cannot read `3x`: expected the end of the number, found 'x' at column 2",
        ),
        ("1e999", "cannot read `1e999`: the number is too large at column 1"),
        (
            "99999999999999999999",
            "cannot read `99999999999999999999`: the number is too large at column 1",
        ),
        (
            "same",
            "cannot read `same`: same is not a value; text needs quotes, 'same' at column 1",
        ),
        (
            "XsameX",
            "cannot read `XsameX`: XsameX is not a value; were its quotes lost? write 'same' in single quotes at column 1",
        ),
        (
            "l2(a=1, 2)",
            "cannot read `l2(a=1, 2)`: expected a keyword argument such as padding='same', found '2' at column 9",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(complaint(text), expected);
    }
}

#[test]
fn malformed_keywords_are_explained() {
    let complaint = |text| parse_keywords(text).unwrap_err().to_string();
    assert_eq!(
        complaint("'same'"),
        "cannot read `'same'`: expected a keyword argument such as padding='same', found '\\'' at column 1"
    );
    assert_eq!(
        complaint("a=1 b=2"),
        "cannot read `a=1 b=2`: expected ',', found 'b' at column 5"
    );
    assert_eq!(
        complaint("a=1, a=2"),
        "cannot read `a=1, a=2`: a is given twice at column 6"
    );
    assert_eq!(
        complaint("a="),
        "cannot read `a=`: expected a value, found the end at column 3"
    );
}

#[test]
fn messages_stay_on_one_line() {
    assert_eq!(
        complaint("(1,\n;"),
        "cannot read `(1,\\n;`: expected a value, found ';' at column 5"
    );
}

#[test]
fn hostile_texts_exhaust_nothing() {
    let deep = "(".repeat(MAX_LENGTH);
    assert!(complaint(&deep).contains("nested deeper than 32 levels at column 34"));
    assert!(complaint(&"f(a=".repeat(4000)).contains("nested deeper"));
    assert!(complaint(&"9".repeat(MAX_LENGTH + 1)).contains("longer than 20000 characters"));
}

fn literals() -> impl Strategy<Value = Literal> {
    let leaf = prop_oneof![
        Just(Literal::None),
        any::<bool>().prop_map(Literal::Bool),
        any::<i64>().prop_map(Literal::Int),
        any::<f64>()
            .prop_filter("finite", |value| value.is_finite())
            .prop_map(Literal::Float),
        any::<String>().prop_map(Literal::Str),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        let list = || prop::collection::vec(inner.clone(), 0..5);
        let kwargs = prop::collection::hash_map("k[a-z_0-9]{0,5}", inner.clone(), 0..4);
        prop_oneof![
            list().prop_map(Literal::Tuple),
            list().prop_map(Literal::List),
            prop::collection::vec((inner.clone(), inner.clone()), 0..4).prop_map(Literal::Dict),
            ("f[a-z_]{0,5}(\\.[a-z]{1,4}){0,2}", list(), kwargs).prop_map(|(name, args, kwargs)| Literal::Call {
                name,
                args,
                kwargs: kwargs.into_iter().collect()
            }),
        ]
    })
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in any::<String>()) {
        let _ = Literal::parse(&text);
        let _ = parse_keywords(&text);
    }

    #[test]
    fn any_text_of_the_grammars_characters_is_read_or_refused(text in "[a1_.,'\"()\\[\\]{}:= \\\\eX-]{0,40}") {
        if let Err(error) = Literal::parse(&text) {
            prop_assert!(error.column <= text.chars().count() + 1);
            prop_assert!(!error.to_string().contains('\n'));
        }
        let _ = parse_keywords(&text);
    }

    #[test]
    fn what_is_written_reads_back(literal in literals()) {
        prop_assert_eq!(Literal::parse(&literal.to_string()), Ok(literal));
    }

    #[test]
    fn float_texts_read_back(value in any::<f64>().prop_filter("finite", |value| value.is_finite())) {
        prop_assert_eq!(float_repr(value).parse::<f64>(), Ok(value));
    }
}
