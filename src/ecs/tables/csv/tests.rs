use std::fs;

use vrl::value;

use super::*;

const PEOPLE: &str = "\
name,team,born,seen
Ada,red,1815-12-10,2026-01-01 10:00:00
ada,blue,1985-01-01,2026-01-02 10:00:00
*,red,1990-06-01,2026-01-03 10:00:00
";

fn load(text: &str, encoding: &str, schema: &[(&str, &str)]) -> Result<CsvTable, String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("table.csv");
    fs::write(&path, text).unwrap();
    let encoding = serde_json::from_str(encoding).unwrap();
    let schema = schema
        .iter()
        .map(|(column, sort)| ((*column).to_owned(), (*sort).to_owned()))
        .collect();
    CsvTable::load(&File { path, encoding }, &schema).map_err(|error| error.to_string())
}

fn people() -> CsvTable {
    let schema = [("born", "date"), ("seen", "timestamp|%F %T")];
    load(PEOPLE, r#"{"type": "csv"}"#, &schema).unwrap()
}

/// The teams of the rows found.
fn teams(
    condition: Value,
    case_sensitive: bool,
    wildcard: Option<&str>,
) -> Result<Vec<String>, String> {
    let wildcard = wildcard.map(Value::from);
    let condition = condition.into_object().unwrap();
    let rows = people().find(&Lookup {
        condition: &condition,
        select: Some(&[value!("team")]),
        case_sensitive,
        wildcard: wildcard.as_ref(),
    })?;
    Ok(rows
        .into_iter()
        .map(|row| serde_json::to_string(&row).unwrap())
        .collect())
}

const RED: &str = r#"{"team":"red"}"#;
const BLUE: &str = r#"{"team":"blue"}"#;

fn day(text: &str) -> Value {
    let at = DateTime::parse_from_rfc3339(text).unwrap();
    at.to_utc().into()
}

#[test]
fn rows_are_found_by_all_that_is_asked_for() {
    assert_eq!(teams(value!({name: "Ada"}), true, None).unwrap(), [RED]);
    assert_eq!(teams(value!({name: "ADA"}), true, None).unwrap(), [""; 0]);
    assert_eq!(
        teams(value!({name: "ADA"}), false, None).unwrap(),
        [RED, BLUE]
    );
    assert_eq!(
        teams(value!({name: "Ada", team: "blue"}), false, None).unwrap(),
        [BLUE]
    );
}

#[test]
fn a_wildcard_stands_for_a_value_that_no_row_has() {
    assert_eq!(
        teams(value!({name: "Eve"}), true, Some("*")).unwrap(),
        [RED]
    );
    assert_eq!(
        teams(value!({name: "ada"}), true, Some("*")).unwrap(),
        [BLUE]
    );
}

#[test]
fn times_are_found_by_their_range_and_ranges_take_no_wildcard() {
    let from = day("1980-01-01T00:00:00Z");
    let to = day("1989-01-01T00:00:00Z");
    let born = |range: Value| teams(value!({ born: range }), true, None);
    assert_eq!(
        born(value!({from: (from.clone()), to: to})).unwrap(),
        [BLUE]
    );
    assert_eq!(born(value!({ from: (from.clone()) })).unwrap(), [BLUE, RED]);
    let asked = value!({name: "Eve", born: {from: (from)}});
    assert_eq!(teams(asked, true, Some("*")).unwrap(), [RED]);
    assert_eq!(
        born(value!({from: "1980"})).unwrap_err(),
        "from in condition must be a timestamp"
    );
    let at = day("2026-01-02T10:00:00Z");
    assert_eq!(teams(value!({ seen: at }), true, None).unwrap(), [BLUE]);
}

#[test]
fn a_file_without_headers_has_numbered_columns() {
    let encoding = r#"{"type": "csv", "include_headers": false, "delimiter": ";"}"#;
    let table = load("a;1\nb;2\n", encoding, &[("1", "integer")]).unwrap();
    let condition = value!({"1": 2}).into_object().unwrap();
    let rows = table.find(&Lookup {
        condition: &condition,
        select: None,
        case_sensitive: true,
        wildcard: None,
    });
    let rows: Vec<Value> = rows.unwrap().into_iter().map(Value::Object).collect();
    assert_eq!(rows, [value!({"0": "b", "1": 2})]);
}

#[test]
fn a_faulty_table_says_what_is_wrong_with_it() {
    let encoding = r#"{"type": "csv"}"#;
    for (text, sort, reason) in [
        (
            "n\n1\n",
            "intger",
            "\"intger\" is no type of a column; there are string",
        ),
        ("n\nx\n", "integer", "row 1, column n: \"x\" is no integer"),
        ("n\n1,2\n", "integer", "found record with 2 fields"),
    ] {
        let error = load(text, encoding, &[("n", sort)]).unwrap_err();
        assert!(error.contains(reason), "{error}");
    }
    assert_eq!(
        people().check(&["nane".into()]).unwrap_err(),
        "field(s) 'nane' missing from the table"
    );
}
