//! The catalogue of fields, `vrl/catalogue.yaml`, and what is generated from it: the lists in the VRL,
//! the index templates, a page of the docs. The check of types over mapped documents is here too.

pub mod check;
pub mod page;
pub mod templates;
pub mod vrl;

use std::path::{Path, PathBuf};

use serde::Deserialize;

/// `vrl/catalogue.yaml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Catalogue {
    /// `azure.entraid.properties.<name>`, named as Graph names them.
    pub properties: Vec<Property>,
    /// All other fields of base and of the enrichment files.
    pub fields: Vec<Field>,
    /// The fields of overlay `elastic`, but for those that follow from `properties`.
    pub elastic: Vec<Field>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Property {
    /// Graph's name, with dots.
    pub name: String,
    #[serde(rename = "type")]
    pub sort: Type,
    pub of: Vec<Kind>,
    #[serde(default)]
    pub beta: bool,
    pub by: Option<String>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Field {
    /// The whole name, with dots.
    pub name: String,
    #[serde(rename = "type")]
    pub sort: Type,
    pub from: String,
    /// In overlay `elastic`: the property of a sign-in that goes there, under Graph's name.
    pub graph: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Type {
    Keyword,
    LongText,
    Text,
    Long,
    Float,
    Boolean,
    Date,
    Ip,
    GeoPoint,
    Keywords,
    Ips,
    Objects,
    Flattened,
    Nested,
}

/// A kind of records, as the mapping tells them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    SignIn,
    Audit,
    Provisioning,
    Detection,
    RiskState,
    Alert,
}

impl Kind {
    pub const ALL: [Self; 6] = [
        Self::SignIn,
        Self::Audit,
        Self::Provisioning,
        Self::Detection,
        Self::RiskState,
        Self::Alert,
    ];

    /// The value of the mapping's variable `kind`.
    pub fn name(self) -> &'static str {
        match self {
            Self::SignIn => "sign_in",
            Self::Audit => "audit",
            Self::Provisioning => "provisioning",
            Self::Detection => "detection",
            Self::RiskState => "risk_state",
            Self::Alert => "alert",
        }
    }

    /// The property that says when it happened.
    pub fn time(self) -> &'static str {
        match self {
            Self::SignIn | Self::Alert => "createdDateTime",
            Self::Audit | Self::Provisioning => "activityDateTime",
            Self::Detection => "detectedDateTime",
            Self::RiskState => "riskLastUpdatedDateTime",
        }
    }
}

impl Type {
    /// The type in an Elasticsearch mapping.
    pub fn index(self) -> serde_json::Value {
        use serde_json::json;
        match self {
            Self::Keyword | Self::Keywords => json!({"type": "keyword", "ignore_above": 1024}),
            Self::LongText => json!({"type": "keyword", "ignore_above": 8191}),
            Self::Text => json!({"type": "match_only_text"}),
            Self::Long => json!({"type": "long"}),
            Self::Float => json!({"type": "float"}),
            Self::Boolean => json!({"type": "boolean"}),
            Self::Date => json!({"type": "date"}),
            Self::Ip | Self::Ips => json!({"type": "ip"}),
            Self::GeoPoint => json!({"type": "geo_point"}),
            Self::Objects | Self::Flattened => {
                json!({"type": "flattened", "ignore_above": 1024})
            }
            Self::Nested => json!({"type": "nested", "dynamic": false}),
        }
    }

    /// The name in the catalogue, for the docs.
    pub fn name(self) -> String {
        let debug = format!("{self:?}");
        let mut name = String::new();
        for letter in debug.chars() {
            if letter.is_uppercase() && !name.is_empty() {
                name.push('_');
            }
            name.extend(letter.to_lowercase());
        }
        name
    }
}

impl Catalogue {
    pub fn read() -> Self {
        let text = std::fs::read_to_string(project().join("vrl/catalogue.yaml")).unwrap();
        serde_saphyr::from_str(&text).unwrap()
    }

    /// Every field of the layers base and enrichment, with its whole name.
    pub fn base(&self) -> Vec<(String, Type)> {
        let properties = self.properties.iter().map(|property| {
            (
                format!("azure.entraid.properties.{}", property.name),
                property.sort,
            )
        });
        let fields = self
            .fields
            .iter()
            .map(|field| (field.name.clone(), field.sort));
        properties.chain(fields).collect()
    }

    /// Every field of a document of overlay `elastic`: its own, the properties of sign-ins under
    /// Elastic's spelling, and what it has in common with base.
    pub fn elastic_with_ecs(&self) -> Vec<(String, Type)> {
        let mut fields: Vec<(String, Type)> = self
            .elastic
            .iter()
            .map(|field| (field.name.clone(), field.sort))
            .collect();
        let properties = self
            .properties
            .iter()
            .filter(|property| property.of.contains(&Kind::SignIn))
            .map(|property| {
                let name = vrl::elastic_name(&property.name);
                (format!("azure.signinlogs.properties.{name}"), property.sort)
            });
        let ecs = self
            .fields
            .iter()
            .map(|field| (field.name.clone(), field.sort));
        for (name, sort) in properties.chain(ecs) {
            if fields.iter().all(|(there, _)| *there != name) {
                fields.push((name, sort));
            }
        }
        fields
    }
}

/// The project's directory.
pub fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_path_buf()
}
