use std::fmt::Write as _;
use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use tempfile::NamedTempFile;

use super::*;

fn file(content: impl AsRef<[u8]>) -> NamedTempFile {
    let file = NamedTempFile::new().unwrap();
    std::fs::write(file.path(), content).unwrap();
    file
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn all(content: impl AsRef<[u8]>, header: bool) -> Matrix {
    read_matrix(file(content).path(), header, &Selector::AllColumns).unwrap()
}

/// What is wrong with a table, without the file's name in front.
fn complaint(content: impl AsRef<[u8]>, header: bool, selector: &Selector) -> String {
    let error = read_matrix(file(content).path(), header, selector).unwrap_err();
    let (_, problem) = error
        .to_string()
        .split_once(": ")
        .map(|(file, rest)| (file.to_owned(), rest.to_owned()))
        .unwrap();
    problem
}

fn of_cells(content: impl AsRef<[u8]>, header: bool) -> Result<Cells, TableError> {
    read_cells(file(content).path(), header, &Selector::AllColumns)
}

const ALL: Selector = Selector::AllColumns;

#[test]
fn a_table_is_read_row_by_row() {
    let matrix = all("age\tmiles\n1\t-2.5\n3\t4e2\n", true);
    assert_eq!((matrix.rows, matrix.columns), (2, 2));
    assert_eq!(matrix.values, [1.0, -2.5, 3.0, 400.0]);
    assert_eq!(matrix.names.unwrap(), ["age", "miles"]);
    assert!(matrix.warnings.is_empty());
}

#[test]
fn line_ends_blank_lines_byte_order_mark_quotes_and_spaces_do_not_matter() {
    let plain = all("a\tb\n1\t2\n3\t4\n", true);
    for same in [
        "a\tb\n1\t2\n3\t4",
        "a\tb\r\n1\t2\r\n3\t4\r\n",
        "a\tb\r\n1\t2\r\n3\t4",
        "\n\na\tb\n\n1\t2\n  \n3\t4\n\n\n",
        "\u{feff}a\tb\n1\t2\n3\t4\n",
        "\"a\"\t\"b\"\n\"1\"\t\"2\"\n3\t4\n",
        "a\tb\n 1\t2 \n+3\t4.0\n",
    ] {
        assert_eq!(all(same, true), plain, "{same:?}");
    }
}

#[test]
fn gzipped_tables_are_read_in_all_their_members() {
    // bgzip writes many members.
    let mut members = gzip(b"1\t2\n3");
    members.extend(gzip(b"\t4\n"));
    assert_eq!(all(members, false).values, [1.0, 2.0, 3.0, 4.0]);
}

#[test]
fn chosen_columns_come_in_the_order_asked_for() {
    let table = "id\tx\ty\tz\ns1\t1\t2\t3\ns2\t4\t5\t6\n";
    let matrix = read_matrix(
        file(table).path(),
        true,
        &Selector::ByHeaderName(vec!["z".into(), "x".into()]),
    )
    .unwrap();
    assert_eq!(matrix.values, [3.0, 1.0, 6.0, 4.0]);
    assert_eq!(matrix.names.unwrap(), ["z", "x"]);
    let matrix = read_matrix(file(table).path(), true, &Selector::AllButByIndexNumber(vec![1])).unwrap();
    assert_eq!(matrix.values, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let last = read_matrix(file("a\t1\r\nb\t2").path(), false, &Selector::ByIndexNumber(vec![2, 2])).unwrap();
    assert_eq!(last.values, [1.0, 1.0, 2.0, 2.0]);
}

#[test]
fn row_names_as_r_writes_them_are_left_out() {
    let matrix = all("x\ty\ns1\t1\t2\ns2\t3\t4\n", true);
    assert_eq!(matrix.values, [1.0, 2.0, 3.0, 4.0]);
    assert_eq!(matrix.names.unwrap(), ["x", "y"]);
    assert!(
        matrix.warnings[0].contains("the first column is taken for row names"),
        "{:?}",
        matrix.warnings
    );
    let chosen = read_matrix(file("x\ty\ns1\t1\t2\n").path(), true, &Selector::ByIndexNumber(vec![2])).unwrap();
    assert_eq!(chosen.values, [2.0]);
}

#[test]
fn tables_larger_than_a_block_keep_their_order() {
    let mut text = String::from("n\thalf\tword\n");
    for row in 0..60_000 {
        writeln!(text, "{row}\t{}\tw{row}", f64::from(row) / 2.0).unwrap();
    }
    for content in [text.clone().into_bytes(), gzip(text.as_bytes())] {
        let matrix = read_matrix(file(&content).path(), true, &Selector::ByIndexNumber(vec![1, 2])).unwrap();
        assert_eq!(matrix.rows, 60_000);
        assert!(matrix.values.chunks(2).enumerate().all(|(row, cells)| {
            let row = f32::from(u16::try_from(row).unwrap());
            cells == [row, row / 2.0]
        }));
        let cells = read_cells(file(&content).path(), true, &Selector::ByIndexNumber(vec![3])).unwrap();
        assert_eq!((cells.rows, cells.row(59_999)), (60_000, &["w59999".to_owned()][..]));
        assert_eq!(cells.lines[59_999], 60_001);
    }
    text.push_str("1\tx\tw\n");
    let complaint = complaint(text, true, &Selector::ByIndexNumber(vec![1, 2]));
    assert!(
        complaint.starts_with("row 60002, column 2 ('half'): the cell holds text ('x')"),
        "{complaint}"
    );
}

#[test]
fn lines_longer_than_a_block_are_whole() {
    let row = vec!["12345"; 100_000].join("\t");
    let matrix = all(format!("{row}\n{row}\n{row}\n{row}"), false);
    assert_eq!((matrix.rows, matrix.columns), (4, 100_000));
    assert_eq!(matrix.values, vec![12_345.0; 400_000]);
}

#[test]
fn a_missing_file_is_named() {
    let error = read_matrix(Path::new("/nowhere/x.tsv"), false, &ALL).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("/nowhere/x.tsv: the file cannot be read: No such file"),
        "{error}"
    );
    let error = crate::Error::from(error);
    assert_eq!(error.exit_code(), 2);
}

#[test]
fn an_empty_file_is_named() {
    for content in ["", "\n\n", "  \r\n", "\u{feff}"] {
        for header in [false, true] {
            assert_eq!(
                complaint(content, header, &ALL),
                "the file is empty: it should hold a tab-separated table",
                "{content:?}"
            );
        }
    }
    assert!(complaint(gzip(b""), false, &ALL).starts_with("the file is empty"));
}

#[test]
fn a_header_alone_is_no_table() {
    assert!(complaint("a\tb\n", true, &ALL).starts_with("the file holds a header but no rows"));
}

#[test]
fn other_files_are_told_apart() {
    for (start, what) in [
        (&b"\x89HDF\r\n\x1a\n\0\0\0"[..], "an HDF5 file"),
        (
            b"PK\x03\x04\x14\0",
            "a zip archive (as estimators and Excel workbooks are)",
        ),
        (b"\x89PNG\r\n\x1a\n\0", "a PNG picture"),
        (b"\xff\xfe1\0\t\0", "UTF-16 text"),
        (b"1\t2\n\0\0", "binary (it holds zero bytes)"),
    ] {
        let expected = format!("the file is {what}, not a table: choose a tab-separated text dataset");
        assert_eq!(complaint(start, false, &ALL), expected);
        assert!(of_cells(start, false).unwrap_err().to_string().ends_with(&expected));
    }
}

#[test]
fn a_truncated_gzip_is_told() {
    let whole = gzip("1\t2\n".repeat(1000).as_bytes());
    let complaint = complaint(&whole[..whole.len() / 2], false, &ALL);
    assert!(
        complaint.starts_with("the file is gzipped but cannot be decompressed"),
        "{complaint}"
    );
}

#[test]
fn ragged_rows_name_both_rows() {
    assert_eq!(
        complaint("1\t2\t3\n\n1\t2\t3\n1\t2\n", false, &ALL),
        "row 4 has 2 columns, but row 1 has 3: every row needs as many cells, with one tab between two cells"
    );
    assert!(complaint("1\t2\n1\t2\t3\n", false, &ALL).starts_with("row 2 has 3 columns, but row 1 has 2"));
    assert!(complaint("a\tb\tc\n1\n", true, &ALL).starts_with("row 2 has 1 column, but row 1 has 3"));
    let error = of_cells("a\nb\nb\tc\n", true).unwrap_err();
    assert!(error.to_string().contains("row 3 has 2 columns"), "{error}");
}

#[test]
fn ragged_rows_are_found_in_chosen_columns_too() {
    let first = Selector::ByIndexNumber(vec![1]);
    assert!(complaint("1\t2\n1\n", false, &first).starts_with("row 2 has 1 column, but row 1 has 2"));
    assert!(complaint("1\t2\n1\t2\t3\n", false, &first).starts_with("row 2 has 3 columns"));
}

#[test]
fn text_in_the_first_row_looks_like_a_header() {
    assert_eq!(
        complaint("gene_1\tgene_2\n1\t2\n", false, &ALL),
        "row 1, column 1 holds text ('gene_1'): is it a header? set 'Does the dataset contain header' to Yes"
    );
}

#[test]
fn text_in_every_row_is_no_header() {
    assert_eq!(
        complaint("s1\t1\ns2\t2\n", false, &ALL),
        "row 1, column 1: the cell holds text ('s1') instead of a number: correct it, or leave the column out"
    );
}

#[test]
fn text_for_labels_above_numbers_looks_like_a_header() {
    let error = of_cells("cancer\n0\n1\n", false).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("column 1 holds text ('cancer'): is it a header?"),
        "{error}"
    );
    assert_eq!(of_cells("ALL\n0\nAML\n", false).unwrap().rows, 3);
}

#[test]
fn numbers_under_the_header_flag_are_only_a_warning() {
    let matrix = all("5\t6\n1\t2\n", true);
    assert_eq!(matrix.values, [1.0, 2.0]);
    let warning = &matrix.warnings[0];
    assert!(
        warning.contains("the header holds only numbers ('5', ...); if that is a row of data"),
        "{warning}"
    );
    // Predictions are numbered from 0.
    assert!(all("0\t1\n1\t2\n", true).warnings.is_empty());
}

#[test]
fn cells_that_are_no_numbers_name_row_and_column() {
    for (cell, fault) in [
        ("", "the value is missing (an empty cell)"),
        ("NA", "the value is missing ('NA')"),
        ("nan", "the value is missing ('nan')"),
        ("inf", "'inf' is too large"),
        ("1e40", "'1e40' is too large"),
        (
            "12345678901234567890123456789012345678901",
            "'1234567890123456789012345678901234567890...' is too large",
        ),
        ("abc", "the cell holds text ('abc')"),
        ("1,5", "'1,5' has a comma in it"),
        ("1 2", "the cell holds text ('1 2')"),
        ("1-2", "the cell holds text ('1-2')"),
    ] {
        let found = complaint(format!("x\ty\n1\t2\n3\t{cell}\n"), true, &ALL);
        assert!(found.starts_with(&format!("row 3, column 2 ('y'): {fault}")), "{found}");
        let chosen = complaint(format!("1\t2\n3\t{cell}\n"), false, &Selector::ByIndexNumber(vec![2]));
        assert!(chosen.starts_with(&format!("row 2, column 2: {fault}")), "{chosen}");
    }
    let csv = complaint("1,2,3\n4,5,6\n", false, &ALL);
    assert!(csv.contains("should be separated by tabs, so convert it"), "{csv}");
}

#[test]
fn only_chosen_columns_must_be_numbers() {
    let matrix = read_matrix(file("a\t1\nb\t2\n").path(), false, &Selector::ByIndexNumber(vec![2])).unwrap();
    assert_eq!(matrix.values, [1.0, 2.0]);
}

#[test]
fn a_column_that_does_not_exist_is_refused() {
    let found = complaint("1\t2\n", false, &Selector::ByIndexNumber(vec![3]));
    assert_eq!(
        found,
        "there is no column 3: the table has 2; choose columns from 1 to 2"
    );
    let found = complaint("1\t2\n", false, &Selector::ByHeaderName(vec!["x".into()]));
    assert!(found.contains("read without a header"), "{found}");
}

#[test]
fn other_encodings_are_told() {
    assert!(complaint(b"a\xe9\n1\n", true, &ALL).starts_with("row 1 is not UTF-8 text"));
    assert!(complaint(b"1\n\xe9\n", false, &ALL).starts_with("row 2 is not UTF-8 text"));
    assert!(
        of_cells(b"a\n\xe9\n", true)
            .unwrap_err()
            .to_string()
            .contains("row 2 is not UTF-8 text")
    );
}

#[test]
fn labels_stay_as_they_are() {
    let cells = of_cells("label\n\"AML, M3\"\n\n01\n 1.50\n\"say \"\"a\"\"\"\n", true).unwrap();
    assert_eq!(cells.values, ["AML, M3", "01", " 1.50", "say \"a\""]);
    assert_eq!(cells.lines, [2, 4, 5, 6]);
    assert_eq!(
        (cells.rows, cells.columns, cells.names.unwrap()),
        (4, 1, vec!["label".to_owned()])
    );
}

#[test]
fn a_column_of_cells() {
    let cells = of_cells("a\tb\nc\td\n", false).unwrap();
    assert_eq!(cells.column(1).collect::<Vec<_>>(), ["b", "d"]);
    assert_eq!(cells.row(1), ["c", "d"]);
}

proptest! {
    /// The fast path, the careful path and the standard library agree on every number.
    #[test]
    fn all_numbers_are_read_exactly(
        rows in prop::collection::vec(prop::collection::vec(prop_oneof![
            (-20_000_000_i64..20_000_000).prop_map(|number| number.to_string()),
            (0_i64..300).prop_map(|number| number.to_string()),
            (-1e30_f64..1e30).prop_map(|number| number.to_string()),
            (-1.0_f64..1.0).prop_map(|number| format!("{number:e}")),
        ], 3), 1..30),
        end in prop_oneof![Just("\n"), Just("\r\n")],
        closed: bool,
    ) {
        let lines: Vec<String> = rows.iter().map(|row| row.join("\t")).collect();
        let text = lines.join(end) + if closed { end } else { "" };
        let expected: Vec<f32> = rows.iter().flatten().map(|cell| number::single(cell.parse().unwrap())).collect();
        let matrix = all(&text, false);
        prop_assert_eq!(&matrix.values, &expected);
        let chosen = read_matrix(file(&text).path(), false, &Selector::ByIndexNumber(vec![3, 1])).unwrap();
        let expected: Vec<f32> = expected.chunks(3).flat_map(|row| [row[2], row[0]]).collect();
        prop_assert_eq!(chosen.values, expected);
    }

    /// Whatever a file holds, it is read or refused.
    #[test]
    fn nothing_makes_reading_panic(content in prop::collection::vec(prop_oneof![
        Just(b'\t'), Just(b'\n'), Just(b'\r'), Just(b'1'), Just(b'-'), Just(b'.'), Just(b'"'), Just(b' '), any::<u8>()
    ], 0..60), header: bool) {
        let file = file(&content);
        for selector in [Selector::AllColumns, Selector::ByIndexNumber(vec![2])] {
            if let Ok(matrix) = read_matrix(file.path(), header, &selector) {
                prop_assert_eq!(matrix.values.len(), matrix.rows * matrix.columns);
                prop_assert!(matrix.values.iter().all(|value| value.is_finite()));
            }
            let _ = read_cells(file.path(), header, &selector);
        }
    }
}
