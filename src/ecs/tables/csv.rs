//! A table from a CSV file.

use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
};

use chrono::{DateTime, Utc};
use serde::Deserialize;
use vrl::{
    compiler::conversion::Conversion,
    value::{KeyString, ObjectMap, Value},
};

use super::{super::program::utc, Lookup, TableError, read};

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

/// Its columns and rows, and an index over every column of text.
#[derive(Debug)]
pub struct CsvTable {
    columns: Vec<KeyString>,
    rows: Vec<Vec<Value>>,
    /// Per column, the rows that hold a text there. Values of other types are compared one by one.
    by_text: Vec<HashMap<String, Vec<usize>>>,
}

impl CsvTable {
    /// Reads the file; `schema` names the types of columns that are not text, as [`Type::parse`] reads
    /// them.
    ///
    /// # Errors
    /// [`TableError`] when the file cannot be read, a row has another length than the first, a type is
    /// unknown or a cell is not of its column's type.
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
        let types: Vec<Type> = columns
            .iter()
            .map(|column| Type::parse(schema.get(column.as_str()).map_or("string", String::as_str)))
            .collect::<Result<_, _>>()
            .map_err(&wrong)?;
        let mut rows = Vec::with_capacity(records.len());
        for (number, record) in records.iter().enumerate() {
            let cells = types.iter().zip(&columns).zip(record);
            let row = cells.map(|((sort, column), cell)| {
                sort.read(cell).ok_or_else(|| {
                    let of_schema = &schema[column.as_str()];
                    let row = number + 1;
                    wrong(format!(
                        "row {row}, column {column}: {cell:?} is no {of_schema}"
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

    /// The rows that hold all that is asked for: equal values, and times within `from` and `to`.
    pub fn find(&self, lookup: &Lookup) -> Result<Vec<ObjectMap>, String> {
        let mut equal = Vec::new();
        let mut within = Vec::new();
        for (name, value) in lookup.condition {
            let column = self
                .columns
                .iter()
                .position(|column| column == name)
                .ok_or_else(|| format!("field(s) '{name}' missing from the table"))?;
            match Range::of(value)? {
                Some(range) => within.push((column, range)),
                None => equal.push((column, value)),
            }
        }
        let mut rows = self.matching(&equal, lookup.case_sensitive);
        // Vector looks for the wildcard's rows only where no row holds the values themselves.
        if let (true, Some(wildcard)) = (rows.is_empty(), lookup.wildcard) {
            let any: Vec<(usize, &Value)> = equal.iter().map(|(at, _)| (*at, wildcard)).collect();
            rows = self.matching(&any, lookup.case_sensitive);
        }
        rows.retain(|row| {
            let mut within = within.iter();
            within.all(|(column, range)| range.holds(&self.rows[*row][*column]))
        });
        Ok(rows
            .into_iter()
            .map(|row| self.record(&self.rows[row], lookup))
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

    fn record(&self, row: &[Value], lookup: &Lookup) -> ObjectMap {
        self.columns
            .iter()
            .zip(row)
            .filter(|(column, _)| lookup.wants(column.as_str()))
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

fn equal(cell: &Value, asked: &Value, case_sensitive: bool) -> bool {
    match (cell.as_str(), asked.as_str()) {
        (Some(cell), Some(asked)) if !case_sensitive => cell.to_lowercase() == asked.to_lowercase(),
        _ => cell == asked && !cell.is_null(),
    }
}

/// A condition `{"from": ..., "to": ...}`, either of which may be missing.
struct Range {
    from: Option<DateTime<Utc>>,
    to: Option<DateTime<Utc>>,
}

impl Range {
    fn of(asked: &Value) -> Result<Option<Self>, String> {
        let Some(range) = asked.as_object() else {
            return Ok(None);
        };
        let bound = |name: &str| match range.get(name) {
            None => Ok(None),
            Some(Value::Timestamp(at)) => Ok(Some(*at)),
            Some(_) => Err(format!("{name} in condition must be a timestamp")),
        };
        match (bound("from")?, bound("to")?) {
            (None, None) => Ok(None),
            (from, to) => Ok(Some(Self { from, to })),
        }
    }

    fn holds(&self, cell: &Value) -> bool {
        let Value::Timestamp(at) = cell else {
            return false;
        };
        self.from.is_none_or(|from| from <= *at) && self.to.is_none_or(|to| *at <= to)
    }
}

/// What a column holds.
enum Type {
    Date { format: String },
    Other(Conversion),
}

impl Type {
    /// Reads the name of a type: `string`, `integer`, `float`, `boolean`, `timestamp`,
    /// `timestamp|FORMAT`, `date`, `date|FORMAT`.
    fn parse(name: &str) -> Result<Self, String> {
        let (sort, format) = match name.split_once('|') {
            Some((sort, format)) => (sort.trim(), Some(format.trim())),
            None => (name.trim(), None),
        };
        if sort == "date" {
            let format = format.unwrap_or("%Y-%m-%d").to_owned();
            return Ok(Self::Date { format });
        }
        Conversion::parse(name, utc())
            .map(Self::Other)
            .map_err(|_| {
                format!(
                    "{name:?} is no type of a column; there are string, integer, float, boolean, \
                 timestamp, timestamp|FORMAT, date and date|FORMAT"
                )
            })
    }

    /// The cell's value; `None` when it is not of this type.
    fn read(&self, cell: &str) -> Option<Value> {
        match self {
            Self::Date { format } => {
                let day = chrono::NaiveDate::parse_from_str(cell, format).ok()?;
                Some(day.and_hms_opt(0, 0, 0)?.and_utc().into())
            }
            Self::Other(conversion) => conversion.convert(cell.to_owned().into()).ok(),
        }
    }
}

#[cfg(test)]
mod tests;
