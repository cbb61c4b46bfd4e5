//! What of a Vector configuration concerns the mapping: transforms, enrichment tables and tests.
//!
//! The rest is left to Vector, which checks it with `vector validate`. Options are those of Vector
//! 0.57 (src/config/mod.rs, src/transforms).

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use serde_json::Value as Json;

use super::tables::Declared;

/// One or several files, merged.
#[derive(Debug, Default)]
pub struct VectorConfig {
    pub transforms: BTreeMap<String, Transform>,
    pub enrichment_tables: BTreeMap<String, Declared>,
    pub tests: Vec<Test>,
}

#[derive(Debug, Deserialize)]
struct File {
    timezone: Option<String>,
    #[serde(default)]
    transforms: BTreeMap<String, Transform>,
    #[serde(default)]
    enrichment_tables: BTreeMap<String, Declared>,
    #[serde(default)]
    tests: Vec<Test>,
}

/// A transform and where its events come from.
#[derive(Clone, Debug, Deserialize)]
pub struct Transform {
    #[serde(default)]
    pub inputs: OneOrMany,
    #[serde(flatten)]
    pub kind: TransformKind,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum TransformKind {
    Remap(Remap),
    Filter(Filter),
    Route(Route),
    ExclusiveRoute(ExclusiveRoute),
    /// A type that only Vector runs.
    #[serde(other)]
    Foreign,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Remap {
    pub source: Option<String>,
    pub file: Option<PathBuf>,
    pub files: Option<Vec<PathBuf>>,
    #[serde(default)]
    pub drop_on_error: bool,
    #[serde(default = "yes")]
    pub drop_on_abort: bool,
    #[serde(default)]
    pub reroute_dropped: bool,
    /// Of the times without one that the program parses; the machine's by Vector's default, UTC here.
    pub timezone: Option<String>,
    /// Further options: those that concern Vector alone, and misspelt ones.
    #[serde(flatten)]
    pub others: BTreeMap<String, Json>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Filter {
    pub condition: Condition,
    #[serde(flatten)]
    pub others: BTreeMap<String, Json>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Route {
    pub route: BTreeMap<String, Condition>,
    #[serde(default = "yes")]
    pub reroute_unmatched: bool,
    #[serde(flatten)]
    pub others: BTreeMap<String, Json>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct ExclusiveRoute {
    pub routes: Vec<NamedRoute>,
    #[serde(flatten)]
    pub others: BTreeMap<String, Json>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct NamedRoute {
    pub name: String,
    pub condition: Condition,
}

fn yes() -> bool {
    true
}

/// A condition: VRL, as a plain text or as `{type: vrl, source}`; or the sort of the event.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Condition {
    Source(String),
    Typed(TypedCondition),
}

#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum TypedCondition {
    Vrl {
        source: String,
    },
    IsLog,
    /// A type that only Vector checks.
    #[serde(other)]
    Foreign,
}

/// One entry of `tests:`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Test {
    pub name: String,
    input: Option<Input>,
    #[serde(default)]
    inputs: Vec<Input>,
    #[serde(default)]
    pub outputs: Vec<Output>,
    #[serde(default)]
    pub no_outputs_from: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    pub insert_at: String,
    #[serde(rename = "type", default = "raw")]
    pub sort: String,
    pub value: Option<String>,
    pub source: Option<String>,
    pub log_fields: Option<serde_json::Map<String, Json>>,
    #[serde(rename = "metric")]
    _metric: Option<Json>,
}

fn raw() -> String {
    "raw".into()
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Output {
    pub extract_from: OneOrMany,
    #[serde(default)]
    pub conditions: Vec<Condition>,
    pub expected_event_count: Option<usize>,
}

/// A name or a list of names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "Names")]
pub struct OneOrMany(pub Vec<String>);

#[derive(Deserialize)]
#[serde(untagged)]
enum Names {
    One(String),
    Many(Vec<String>),
}

impl From<Names> for OneOrMany {
    fn from(names: Names) -> Self {
        match names {
            Names::One(name) => Self(vec![name]),
            Names::Many(names) => Self(names),
        }
    }
}

impl Test {
    /// Its inputs, the single one of the older form last.
    pub fn inputs(&self) -> impl Iterator<Item = &Input> {
        self.inputs.iter().chain(&self.input)
    }
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum VectorConfigError {
    #[error("cannot read {path}: {source}")]
    Unreadable {
        path: String,
        source: std::io::Error,
    },
    #[error("{path}: {reason}")]
    Invalid { path: String, reason: String },
    #[error("{path}: there is {what} of the name {name} in another file already")]
    Twice {
        path: String,
        what: &'static str,
        name: String,
    },
}

impl VectorConfig {
    /// Reads the files and merges them, as Vector does with several `--config`: tests of one see
    /// transforms of another.
    ///
    /// # Errors
    /// [`VectorConfigError`] for the first file that cannot be read or does not fit.
    pub fn read(paths: &[PathBuf]) -> Result<Self, VectorConfigError> {
        let mut paths = paths.to_vec();
        paths.sort();
        paths.dedup();
        let mut whole = Self::default();
        for path in &paths {
            whole.add(path, parse(path)?)?;
        }
        Ok(whole)
    }

    fn add(&mut self, path: &Path, file: File) -> Result<(), VectorConfigError> {
        let twice = |what, name: &str| VectorConfigError::Twice {
            path: path.display().to_string(),
            what,
            name: name.into(),
        };
        for (name, mut transform) in file.transforms {
            if self.transforms.contains_key(&name) {
                return Err(twice("a transform", &name));
            }
            if let TransformKind::Remap(remap) = &mut transform.kind {
                remap.timezone = remap.timezone.take().or_else(|| file.timezone.clone());
            }
            self.transforms.insert(name, transform);
        }
        for (name, table) in file.enrichment_tables {
            if self.enrichment_tables.contains_key(&name) {
                return Err(twice("a table", &name));
            }
            self.enrichment_tables.insert(name, table);
        }
        if let Some(test) = file
            .tests
            .iter()
            .find(|test| self.tests.iter().any(|there| there.name == test.name))
        {
            return Err(twice("a test", &test.name));
        }
        self.tests.extend(file.tests);
        Ok(())
    }
}

fn parse(path: &Path) -> Result<File, VectorConfigError> {
    let text = std::fs::read_to_string(path).map_err(|source| VectorConfigError::Unreadable {
        path: path.display().to_string(),
        source,
    })?;
    let invalid = |reason: String| VectorConfigError::Invalid {
        path: path.display().to_string(),
        reason,
    };
    // By way of JSON: a tagged transform with options of its own needs a self-describing form.
    let json: Json = match path.extension().and_then(|end| end.to_str()) {
        Some("yaml" | "yml") => {
            serde_saphyr::from_str(&text).map_err(|error| invalid(error.to_string()))?
        }
        Some("json") => serde_json::from_str(&text).map_err(|error| invalid(error.to_string()))?,
        _ => toml::from_str(&text).map_err(|error| invalid(error.to_string()))?,
    };
    serde_path_to_error::deserialize(json).map_err(|error| invalid(error.to_string()))
}
