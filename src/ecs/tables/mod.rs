//! Enrichment tables outside Vector: what a configuration's `enrichment_tables` hold, and the two VRL
//! functions that read them.
//!
//! The kinds of tables, their options and what a row looks like are those of Vector 0.57
//! (src/enrichment_tables/{file,geoip,mmdb}.rs, lib/vector-vrl/enrichment).

mod address;
mod csv;
mod functions;

use std::{collections::BTreeMap, path::Path, sync::Arc};

use serde::Deserialize;
use vrl::{
    compiler::Function,
    value::{KeyString, ObjectMap, Value},
};

use self::{
    address::AddressTable,
    csv::CsvTable,
    functions::{Enrichment, Find},
};

/// The tables that a program may name.
#[derive(Clone, Debug, Default)]
pub struct Tables(Arc<BTreeMap<String, Table>>);

/// One table, whole in memory.
#[derive(Debug)]
enum Table {
    Csv(CsvTable),
    Address(AddressTable),
    Memory,
}

const MEMORY: &str = "only Vector has tables of type memory; run it there";

/// A table as a Vector configuration declares it.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Declared {
    File {
        file: csv::File,
        #[serde(default)]
        schema: BTreeMap<String, String>,
    },
    Geoip {
        path: std::path::PathBuf,
        #[serde(default = "english")]
        locale: String,
    },
    Mmdb {
        path: std::path::PathBuf,
    },
    /// A type that only Vector has, with options of its own.
    Memory(serde::de::IgnoredAny),
}

fn english() -> String {
    "en".into()
}

/// Why a table cannot be used. The text names the file and what to do.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    #[error("cannot read the table {path}: {source}")]
    Unreadable {
        path: String,
        source: std::io::Error,
    },
    #[error("the table {path} is no CSV file as declared: {reason}")]
    Csv { path: String, reason: String },
    #[error("the table {path} is no MMDB file: {reason}")]
    Mmdb { path: String, reason: String },
    #[error("the database {path} is a {database}; type geoip reads {READS}, type mmdb any")]
    Unsupported { path: String, database: String },
}

const READS: &str =
    "City, ASN, ISP, Connection-Type and Anonymous-IP databases of GeoIP2 and GeoLite2";

/// A lookup: what the row must hold, and how it is compared.
struct Lookup<'a> {
    condition: &'a ObjectMap,
    select: Option<&'a [Value]>,
    case_sensitive: bool,
    wildcard: Option<&'a Value>,
}

impl Lookup<'_> {
    /// Whether the caller wants this column.
    fn wants(&self, column: &str) -> bool {
        self.select.is_none_or(|names| {
            let mut names = names.iter().filter_map(Value::as_str);
            names.any(|name| name == column)
        })
    }
}

impl Tables {
    /// Loads every declared table. Relative paths are taken from the working directory, as Vector
    /// does.
    ///
    /// # Errors
    /// [`TableError`] of the first table that cannot be used.
    pub fn load(declared: &BTreeMap<String, Declared>) -> Result<Self, TableError> {
        let mut tables = BTreeMap::new();
        for (name, declaration) in declared {
            tables.insert(name.clone(), Table::load(declaration)?);
        }
        Ok(Self(Arc::new(tables)))
    }

    /// The functions of VRL that read these tables.
    #[must_use]
    pub fn functions(&self) -> Vec<Box<dyn Function>> {
        [Find::One, Find::All]
            .map(|find| -> Box<dyn Function> {
                let tables = self.clone();
                Box::new(Enrichment { find, tables })
            })
            .into()
    }

    /// What is wrong with asking a table for these columns, before any record is mapped.
    fn check(&self, name: &str, columns: &[KeyString]) -> Result<(), String> {
        self.get(name)?
            .check(columns)
            .map_err(|reason| format!("table {name:?}: {reason}"))
    }

    /// The rows of a table that fit, in the order of the file.
    fn find(&self, name: &str, lookup: &Lookup) -> Result<Vec<ObjectMap>, String> {
        self.get(name)?.find(lookup)
    }

    fn get(&self, name: &str) -> Result<&Table, String> {
        self.0.get(name).ok_or_else(|| {
            let names: Vec<&str> = self.0.keys().map(String::as_str).collect();
            let there = match names.as_slice() {
                [] => "none; `map` reads those of a Vector configuration with --tables".into(),
                names => names.join(", "),
            };
            format!("there is no table {name:?} in enrichment_tables (there: {there})")
        })
    }
}

impl Table {
    fn load(declared: &Declared) -> Result<Self, TableError> {
        Ok(match declared {
            Declared::File { file, schema } => Self::Csv(CsvTable::load(file, schema)?),
            Declared::Geoip { path, locale } => Self::Address(AddressTable::geoip(path, locale)?),
            Declared::Mmdb { path } => Self::Address(AddressTable::mmdb(path)?),
            Declared::Memory(_) => Self::Memory,
        })
    }

    fn check(&self, columns: &[KeyString]) -> Result<(), String> {
        match self {
            Self::Csv(table) => table.check(columns),
            Self::Address(_) if columns.len() == 1 => Ok(()),
            Self::Address(_) => Err("a table of addresses is asked by one field, the IP".into()),
            Self::Memory => Err(MEMORY.into()),
        }
    }

    fn find(&self, lookup: &Lookup) -> Result<Vec<ObjectMap>, String> {
        match self {
            Self::Csv(table) => table.find(lookup),
            Self::Address(table) => Ok(table.find(lookup)?.into_iter().collect()),
            Self::Memory => Err(MEMORY.into()),
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TableError> {
    std::fs::read(path).map_err(|source| TableError::Unreadable {
        path: path.display().to_string(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared(yaml: &str) -> Result<BTreeMap<String, Declared>, String> {
        serde_saphyr::from_str(yaml).map_err(|error| error.to_string())
    }

    #[test]
    fn a_table_that_is_not_declared_is_named_with_those_that_are() {
        let tables = Tables::load(&declared("cache: {type: memory, ttl: 60}").unwrap()).unwrap();
        assert_eq!(
            tables.check("tor", &[]).unwrap_err(),
            "there is no table \"tor\" in enrichment_tables (there: cache)"
        );
        assert_eq!(
            Tables::default().check("tor", &[]).unwrap_err(),
            "there is no table \"tor\" in enrichment_tables \
             (there: none; `map` reads those of a Vector configuration with --tables)"
        );
    }

    #[test]
    fn a_table_of_vector_s_alone_is_told_from_a_misspelt_type() {
        let tables = Tables::load(&declared("cache: {type: memory, ttl: 60}").unwrap()).unwrap();
        assert_eq!(
            tables.check("cache", &[]).unwrap_err(),
            "table \"cache\": only Vector has tables of type memory; run it there"
        );
        let error = declared("t: {type: fiel}").unwrap_err();
        assert!(error.contains("fiel"), "{error}");
    }
}
