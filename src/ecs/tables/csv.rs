//! A table from a CSV file.

use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
};

use serde::Deserialize;
use vrl::{
    compiler::{TimeZone, conversion::Conversion},
    value::{KeyString, ObjectMap, Value},
};

use super::{Lookup, TableError, read};

/// `file` of a declared table.
#[derive(Clone, Debug, Deserialize)]
pub struct File {
    path: PathBuf,
    encoding: Encoding,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Encoding {
    Csv {
        #[serde(default = "yes")]
        include_headers: bool,
        #[serde(default = "comma")]
        delimiter: char,
    },
}

fn yes() -> bool {
    true
}

fn comma() -> char {
    ','
}

/// Its columns and rows, and an index over the columns that were asked by first.
#[derive(Debug)]
pub struct CsvTable {
    columns: Vec<KeyString>,
    rows: Vec<Vec<Value>>,
    /// Per column, the rows that hold a text there. Values of other types are compared one by one.
    by_text: Vec<HashMap<String, Vec<usize>>>,
}

impl CsvTable {
    /// Reads the file; `schema` names the type of a column that is not text: `integer`, `float`,
    /// `boolean`, `timestamp|FORMAT`, `date`.
    ///
    /// # Errors
    /// [`TableError`] when the file cannot be read, a row has another length than the first, or a cell
    /// is not of its column's type.
    pub fn load(file: &File, schema: &BTreeMap<String, String>) -> Result<Self, TableError> {
        let Encoding::Csv {
            include_headers,
            delimiter,
        } = file.encoding;
        let wrong = |reason: String| TableError::Csv {
            path: file.path.display().to_string(),
            reason,
        };
        let delimiter = u8::try_from(delimiter)
            .map_err(|_| wrong(format!("the delimiter {delimiter:?} is no single byte")))?;
        let bytes = read(&file.path)?;
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(include_headers)
            .delimiter(delimiter)
            .from_reader(bytes.as_slice());
        let records: Vec<csv::StringRecord> = reader
            .records()
            .collect::<Result<_, _>>()
            .map_err(|error| wrong(error.to_string()))?;
        let columns: Vec<KeyString> = if include_headers {
            let headers = reader.headers().map_err(|error| wrong(error.to_string()))?;
            headers.iter().map(KeyString::from).collect()
        } else {
            let width = records.first().map_or(0, csv::StringRecord::len);
            (0..width).map(|n| n.to_string().into()).collect()
        };
        let mut rows = Vec::with_capacity(records.len());
        for (number, record) in records.iter().enumerate() {
            let row = columns.iter().zip(record).map(|(column, cell)| {
                typed(cell, schema.get(column.as_str())).ok_or_else(|| {
                    wrong(format!(
                        "row {}, column {column}: {cell:?} is no {}",
                        number + 1,
                        schema[column.as_str()]
                    ))
                })
            });
            rows.push(row.collect::<Result<Vec<Value>, _>>()?);
        }
        let by_text = (0..columns.len())
            .map(|column| index(&rows, column))
            .collect();
        Ok(Self {
            columns,
            rows,
            by_text,
        })
    }

    /// Whether the table has all of these columns.
    pub fn check(&self, columns: &[KeyString]) -> Result<(), String> {
        let missing: Vec<String> = columns
            .iter()
            .filter(|column| !self.columns.contains(column))
            .map(|column| format!("'{column}'"))
            .collect();
        if missing.is_empty() {
            Ok(())
        } else {
            Err(format!(
                "field(s) {} missing from the table",
                missing.join(", ")
            ))
        }
    }

    /// The rows that hold all that is asked for.
    pub fn find(&self, lookup: &Lookup) -> Result<Vec<ObjectMap>, String> {
        let mut asked = Vec::new();
        for (name, value) in lookup.condition {
            let column = self
                .columns
                .iter()
                .position(|column| column == name)
                .ok_or_else(|| format!("field(s) '{name}' missing from the table"))?;
            asked.push((column, value));
        }
        let exact = self.matching(&asked, lookup.case_sensitive);
        // Vector looks for the wildcard's rows only where no row holds the values themselves.
        let found = match (exact.is_empty(), lookup.wildcard) {
            (true, Some(wildcard)) => {
                let any: Vec<(usize, &Value)> = asked
                    .iter()
                    .map(|(column, _)| (*column, wildcard))
                    .collect();
                self.matching(&any, lookup.case_sensitive)
            }
            _ => exact,
        };
        Ok(found
            .into_iter()
            .map(|row| self.record(&self.rows[row], lookup.select))
            .collect())
    }

    fn matching(&self, asked: &[(usize, &Value)], case_sensitive: bool) -> Vec<usize> {
        let holds = |row: &usize| {
            asked
                .iter()
                .all(|(column, value)| equal(&self.rows[*row][*column], value, case_sensitive))
        };
        let indexed = asked.iter().find_map(|(column, value)| {
            let text = value.as_str().filter(|_| case_sensitive)?;
            Some(self.by_text[*column].get(text.as_ref()))
        });
        match indexed {
            Some(rows) => rows.into_iter().flatten().copied().filter(holds).collect(),
            None => (0..self.rows.len()).filter(holds).collect(),
        }
    }

    fn record(&self, row: &[Value], select: Option<&[Value]>) -> ObjectMap {
        let wanted = |column: &KeyString| {
            select.is_none_or(|names| {
                names
                    .iter()
                    .any(|name| name.as_str().is_some_and(|name| name == column.as_str()))
            })
        };
        self.columns
            .iter()
            .zip(row)
            .filter(|(column, _)| wanted(column))
            .map(|(column, cell)| (column.clone(), cell.clone()))
            .collect()
    }
}

fn index(rows: &[Vec<Value>], column: usize) -> HashMap<String, Vec<usize>> {
    let mut index: HashMap<String, Vec<usize>> = HashMap::new();
    for (number, row) in rows.iter().enumerate() {
        if let Some(text) = row[column].as_str() {
            index.entry(text.into_owned()).or_default().push(number);
        }
    }
    index
}

/// A condition is met by an equal value, or by a time within `from` and `to`.
fn equal(cell: &Value, asked: &Value, case_sensitive: bool) -> bool {
    if let Value::Object(range) = asked
        && (range.contains_key("from") || range.contains_key("to"))
    {
        let Value::Timestamp(at) = cell else {
            return false;
        };
        let bound = |name: &str| range.get(name).and_then(Value::as_timestamp);
        return bound("from").is_none_or(|from| from <= at)
            && bound("to").is_none_or(|to| at <= to);
    }
    match (cell.as_str(), asked.as_str()) {
        (Some(cell), Some(asked)) if !case_sensitive => cell.to_lowercase() == asked.to_lowercase(),
        _ => cell == asked && !cell.is_null(),
    }
}

/// A cell in its column's type; `None` when it is not of that type.
fn typed(cell: &str, type_name: Option<&String>) -> Option<Value> {
    let Some(type_name) = type_name else {
        return Some(cell.into());
    };
    let (name, format) = match type_name.split_once('|') {
        Some((name, format)) => (name.trim(), Some(format.trim())),
        None => (type_name.trim(), None),
    };
    if name == "date" {
        let day = chrono::NaiveDate::parse_from_str(cell, format.unwrap_or("%Y-%m-%d")).ok()?;
        return Some(day.and_hms_opt(0, 0, 0)?.and_utc().into());
    }
    let conversion = Conversion::parse(type_name, TimeZone::default()).ok()?;
    conversion.convert::<Value>(cell.to_owned().into()).ok()
}
