use super::*;

/// A table with `columns` columns whose first row stands in line 2 of the file.
fn table(columns: usize, cells: &[&str]) -> Cells {
    let rows = cells.len() / columns;
    Cells {
        file: "y.tsv".into(),
        rows,
        columns,
        values: cells.iter().map(|cell| (*cell).to_owned()).collect(),
        names: None,
        lines: (2..2 + rows).collect(),
        warnings: Vec::new(),
    }
}

fn classes(cells: &[&str]) -> Encoded {
    match encode(&table(1, cells)).unwrap() {
        Labels::Classes(encoded) => encoded,
        Labels::MultiLabel(_) => panic!("one column cannot be multi-label"),
    }
}

fn complaint(columns: usize, cells: &[&str]) -> String {
    encode(&table(columns, cells)).unwrap_err().to_string()
}

#[test]
fn integers_are_sorted_as_numbers_and_stay_integers() {
    let encoded = classes(&["10", "9", "10", "-1", "007"]);
    assert_eq!(encoded.classes, Classes::Integers(vec![-1, 7, 9, 10]));
    assert_eq!(encoded.indices, [3, 2, 3, 0, 1]);
    assert_eq!(encoded.classes.names(), ["-1", "7", "9", "10"]);
}

#[test]
fn one_real_makes_a_column_of_reals() {
    let encoded = classes(&["1", "0.0", "1.0"]);
    assert_eq!(encoded.indices, [1, 0, 1]);
    assert_eq!(encoded.classes.names(), ["0.0", "1.0"]);
}

#[test]
fn truth_values_are_written_as_pandas_writes_them() {
    let encoded = classes(&["TRUE", "false", "True"]);
    assert_eq!(encoded.indices, [1, 0, 1]);
    assert_eq!(encoded.classes.names(), ["False", "True"]);
}

#[test]
fn texts_are_sorted_by_code_point() {
    let encoded = classes(&["b", "B", "ä", "1", "b"]);
    assert_eq!(encoded.classes.names(), ["1", "B", "b", "ä"]);
    assert_eq!(encoded.indices, [2, 1, 3, 0, 2]);
}

#[test]
fn classes_survive_the_estimator() {
    for cells in [&["2", "1"][..], &["1.0", "2"], &["a", "b"], &["true", "false"]] {
        let encoded = classes(cells);
        let json = serde_json::to_string(&encoded.classes).unwrap();
        assert_eq!(
            serde_json::from_str::<Classes>(&json).unwrap(),
            encoded.classes,
            "{json}"
        );
    }
    assert_eq!(
        serde_json::to_string(&Classes::numbered(2)).unwrap(),
        r#"{"integers":[0,1]}"#
    );
}

#[test]
fn measurements_are_no_classes() {
    assert_eq!(
        complaint(1, &["1", "2.5", "3"]),
        "y.tsv: row 3 holds '2.5' where a class is expected; these look like measurements: choose KerasGRegressor as the \
         learning type in the model builder"
    );
}

#[test]
fn a_missing_label_names_its_row() {
    assert_eq!(
        complaint(1, &["1", "0", ""]),
        "y.tsv: row 4 has no label (an empty cell): fill it in or remove the row from both tables"
    );
    assert!(complaint(1, &["a", "NA"]).starts_with("y.tsv: row 3 has no label ('NA')"));
}

#[test]
fn one_class_is_not_enough() {
    assert!(complaint(1, &["a", "a"]).contains("all rows have the same label, 'a'"));
}

#[test]
fn one_hot_columns_are_classes() {
    let cells = table(3, &["0", "1", "0", "1.0", "0", "0", "0", "0", "1"]);
    let Labels::Classes(encoded) = encode(&cells).unwrap() else {
        panic!("not taken for one-hot")
    };
    assert_eq!((encoded.classes, encoded.one_hot), (Classes::numbered(3), true));
    assert_eq!(encoded.indices, [1, 0, 2]);
}

#[test]
fn several_marks_in_a_row_are_multi_label() {
    let cells = table(2, &["0", "1", "1", "1", "0", "0"]);
    let values = vec![0.0, 1.0, 1.0, 1.0, 0.0, 0.0];
    assert_eq!(
        encode(&cells).unwrap(),
        Labels::MultiLabel(Indicators {
            rows: 3,
            columns: 2,
            values
        })
    );
}

#[test]
fn several_columns_hold_only_0_and_1() {
    let complaint = complaint(2, &["0", "1", "2", "1"]);
    assert!(
        complaint.starts_with("y.tsv: row 3, column 1 of the labels holds '2'"),
        "{complaint}"
    );
}

#[test]
fn known_classes_encode_other_rows() {
    let encoded = classes(&["3", "5", "7"]);
    assert_eq!(encode_with(&encoded.classes, &table(1, &["7", "3.0"])), Ok(vec![2, 0]));
    assert_eq!(encode_with(&encoded.classes, &table(3, &["0", "1", "0"])), Ok(vec![1]));
    let error = encode_with(&encoded.classes, &table(1, &["3", "4"])).unwrap_err();
    assert_eq!(
        error.to_string(),
        "y.tsv: row 3 has the label '4', which is none of the known classes: '3', '5', '7'"
    );
    let error = encode_with(&encoded.classes, &table(3, &["0", "1", "1"])).unwrap_err();
    assert!(error.to_string().contains("marks 2 classes with 1"), "{error}");
    let error = encode_with(&encoded.classes, &table(2, &["0", "1"])).unwrap_err();
    assert!(error.to_string().contains("2 label columns, but 3 classes"), "{error}");
}

#[test]
fn true_and_predicted_labels_share_their_classes() {
    let truth = table(2, &["x", "1", "y", "3"]);
    let predicted = table(1, &["1.0", "2.0", "3.0"]);
    let (classes, truth, predicted) = encode_pair(&truth, &predicted).unwrap();
    assert_eq!(classes, Classes::Integers(vec![1, 2, 3]));
    assert_eq!((truth, predicted), (vec![0, 2], vec![0, 1, 2]));
}

#[test]
fn the_positive_class_is_1_or_the_last() {
    assert_eq!(classes(&["0", "1"]).classes.positive(), 1);
    assert_eq!(classes(&["1", "2"]).classes.positive(), 0);
    assert_eq!(classes(&["ALL", "AML"]).classes.positive(), 1);
}
