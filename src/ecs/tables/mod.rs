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

use self::{address::AddressTable, csv::CsvTable};

/// The tables that a program may name.
#[derive(Clone, Debug, Default)]
pub struct Tables(Arc<BTreeMap<String, Table>>);

/// One table, whole in memory.
#[derive(Debug)]
enum Table {
    Csv(CsvTable),
    Address(AddressTable),
    Foreign,
}

const FOREIGN: &str = "only Vector has tables of this type; run it there";

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
    /// A type that only Vector has.
    #[serde(other)]
    Foreign,
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
    pub fn functions() -> Vec<Box<dyn Function>> {
        vec![
            Box::new(functions::Find::One),
            Box::new(functions::Find::All),
        ]
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    fn get(&self, name: &str) -> Option<&Table> {
        self.0.get(name)
    }
}

impl Table {
    fn load(declared: &Declared) -> Result<Self, TableError> {
        Ok(match declared {
            Declared::File { file, schema } => Self::Csv(CsvTable::load(file, schema)?),
            Declared::Geoip { path, locale } => Self::Address(AddressTable::geoip(path, locale)?),
            Declared::Mmdb { path } => Self::Address(AddressTable::mmdb(path)?),
            Declared::Foreign => Self::Foreign,
        })
    }

    /// What is wrong with a lookup by these columns, before any record is mapped.
    fn check(&self, columns: &[KeyString]) -> Result<(), String> {
        match self {
            Self::Csv(table) => table.check(columns),
            Self::Address(_) if columns.len() == 1 => Ok(()),
            Self::Address(_) => Err("a table of addresses is asked by one field, the IP".into()),
            Self::Foreign => Err(FOREIGN.into()),
        }
    }

    /// The rows that fit, in the order of the file.
    fn find(&self, lookup: &Lookup) -> Result<Vec<ObjectMap>, String> {
        match self {
            Self::Csv(table) => table.find(lookup),
            Self::Address(table) => Ok(table.find(lookup)?.into_iter().collect()),
            Self::Foreign => Err(FOREIGN.into()),
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TableError> {
    std::fs::read(path).map_err(|source| TableError::Unreadable {
        path: path.display().to_string(),
        source,
    })
}
