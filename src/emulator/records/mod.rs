//! Believable records for the emulated tenant: JSON text exactly as Graph sends it, made from
//! template files that a person can read.
//!
//! Each situation that a tenant gets into is one file, `templates/<stream>/<name>.json`:
//! pretty-printed JSON with the properties in Graph's order and placeholders for what varies. It
//! is filled and sent without white space. To add one, write the file and list it in
//! `situations.rs`.
//!
//! A placeholder stands in double braces inside a JSON string. One that begins with `#` is the
//! whole string and loses its quotes: a number, a boolean, null.
//!
//! | placeholder | stands for |
//! |---|---|
//! | `{{user.upn}}`, `{{#away.latitude}}` | a value of the scene; `fields.rs` lists them all |
//! | `{{guid NAME}}` | a GUID of this record; the same name gives the same one |
//! | `{{fixed NAME}}` | a GUID that is the same in every record |
//! | `{{hex 64 NAME}}` | so many hexadecimal digits |
//! | `{{number 10 99 NAME}}` | a whole number of that range |
//! | `{{pick NAME\|one\|other}}` | one of the texts; the same name picks the same place |
//! | `{{at.seconds}}` | the record's time in whole seconds; `at.seven` and `at.six` with so many digits less trailing zeros, `at.300ths` as the alert service rounds |
//! | `{{at.seconds -90}}` | so many seconds before or after |
//!
//! Within a scene `user` acts, `target` is acted on, `admin` administers; `home` is where the user
//! lives, `away` is where an attacker sits, `cloud` is a data centre.
//!
//! Where the shapes come from: Graph's reference for the properties, their order and their values
//! (resources signIn in beta; directoryAudit, provisioningObjectSummary, riskDetection,
//! servicePrincipalRiskDetection, riskyUser, riskyServicePrincipal and security.alert in v1.0), and
//! records that others have published for what the reference leaves open: ids, precision of times,
//! and what is null, empty or absent.

mod cast;
mod fields;
mod ids;
mod machines;
mod revise;
mod scene;
mod situations;
mod template;
mod times;

use chrono::{DateTime, Utc};

pub use cast::TENANT_ID;
pub use revise::revise;

use crate::stream::Stream;
use scene::Scene;
use template::Template;

/// One record of the emulated tenant, as text, with what the service needs to serve it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// The record's own id.
    pub id: String,
    /// The whole record, one JSON object without white space between its tokens.
    pub text: String,
}

/// A record of `stream` that happened at `at`: the stream's time property lies within the second
/// of `at`.
///
/// `ordinal` makes ids unique: the same state of `rng`, stream, time and ordinal give the same
/// record. In the lists of risky users and risky service principals the ordinal says who it is,
/// whatever `rng` says.
pub fn make(rng: &mut fastrand::Rng, stream: Stream, at: DateTime<Utc>, ordinal: u64) -> Made {
    let person = match stream {
        Stream::RiskyUsers | Stream::RiskyServicePrincipals => Some(ordinal),
        _ => None,
    };
    let situation = situations::draw(rng, stream);
    let scene = Scene::new(rng.u64(..), stream.name(), at, ordinal, person);
    made(situation.template.fill(&scene))
}

/// The two records of the project's founding document, with their own ids and times.
pub fn founding() -> [(Stream, Made); 2] {
    let scene = Scene::new(0, "", DateTime::UNIX_EPOCH, 0, None);
    let verbatim = |file| made(Template::compile(file).fill(&scene));
    [
        (
            Stream::DirectoryAudits,
            verbatim(include_str!("templates/directory_audits/seed_audit.json")),
        ),
        (
            Stream::SignIns,
            verbatim(include_str!("templates/sign_ins/seed_sign_in.json")),
        ),
    ]
}

fn made(text: String) -> Made {
    // Every template begins with its id, and no id holds a quote.
    let id = text
        .strip_prefix(r#"{"id":""#)
        .and_then(|rest| rest.split('"').next());
    Made {
        id: id.unwrap_or_default().to_owned(),
        text,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use chrono::SubsecRound;
    use serde_json::{Map, Value};

    use super::*;

    type Record = Map<String, Value>;

    fn at() -> DateTime<Utc> {
        "2026-11-22T10:00:07.25Z".parse().unwrap()
    }

    /// Every situation of every stream, several times over, with its name.
    fn all() -> impl Iterator<Item = (Stream, String, String)> {
        Stream::ALL.into_iter().flat_map(|stream| {
            situations::of(stream).iter().flat_map(move |situation| {
                (0..25).map(move |n| {
                    let scene = Scene::new(n * 7, stream.name(), at(), n, None);
                    let name = format!("{stream:?} {}", situation.name);
                    (stream, name, situation.template.fill(&scene))
                })
            })
        })
    }

    fn parsed(text: &str) -> Record {
        serde_json::from_str(text).unwrap_or_else(|error| panic!("{error} in {text}"))
    }

    fn text<'a>(record: &'a Record, name: &str) -> &'a str {
        record[name]
            .as_str()
            .unwrap_or_else(|| panic!("{name} in {record:?}"))
    }

    #[test]
    fn every_situation_gives_one_compact_object_without_placeholders() {
        for (_, name, text) in all() {
            assert!(!text.contains("{{"), "{name}: {text}");
            assert!(!parsed(&text).is_empty(), "{name}");
            assert_eq!(text, template::compact(&text), "{name}");
        }
    }

    #[test]
    fn every_record_begins_with_its_id() {
        for (_, name, text) in all() {
            let made = made(text);
            assert!(made.id.len() > 30, "{name}: {}", made.id);
            assert_eq!(parsed(&made.text)["id"], made.id.as_str(), "{name}");
        }
    }

    #[test]
    fn every_records_time_lies_in_its_second_with_its_logs_precision() {
        for (stream, name, record) in all() {
            let record = parsed(&record);
            let time = text(&record, stream.entry().time_property);
            let instant: DateTime<Utc> = time.parse().unwrap();
            assert_eq!(
                instant.trunc_subsecs(0),
                at().trunc_subsecs(0),
                "{name}: {time}"
            );
            let digits = time.split_once('.').map_or("", |(_, digits)| digits);
            match stream.entry().time_property {
                "createdDateTime" => assert_eq!(digits, "", "{name}"),
                _ if stream == Stream::Provisioning => assert_eq!(digits, "", "{name}"),
                _ => assert!(
                    digits.len() <= 8 && !digits.ends_with("0Z"),
                    "{name}: {time}"
                ),
            }
        }
    }

    #[test]
    fn every_json_inside_a_string_is_json() {
        for (_, name, record) in all() {
            let record = parsed(&record);
            if let Some(info) = record.get("additionalInfo") {
                let pairs: Vec<Record> = serde_json::from_str(info.as_str().unwrap()).unwrap();
                assert!(pairs.iter().all(|pair| pair.contains_key("Key")), "{name}");
            }
            if record
                .get("loggedByService")
                .is_some_and(|by| by == "Core Directory")
            {
                let targets = record["targetResources"].as_array().unwrap().iter();
                let changes = targets.flat_map(|it| it["modifiedProperties"].as_array().unwrap());
                for value in changes.flat_map(|it| [&it["oldValue"], &it["newValue"]]) {
                    let json = value.as_str().unwrap_or("null");
                    serde_json::from_str::<Value>(json).unwrap_or_else(|e| panic!("{name}: {e}"));
                }
            }
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_record() {
        for stream in Stream::ALL {
            let record = |seed| make(&mut fastrand::Rng::with_seed(seed), stream, at(), 42);
            assert_eq!(record(1), record(1));
            assert_ne!(record(1).text, record(2).text);
        }
    }

    #[test]
    fn ids_are_unique_over_ten_thousand_ordinals() {
        for stream in Stream::ALL {
            // The hardest case: the generator in the same state before every record.
            let id = |n| make(&mut fastrand::Rng::with_seed(9), stream, at(), n).id;
            let ids: HashSet<String> = (0..10_000).map(id).collect();
            assert_eq!(ids.len(), 10_000, "{stream:?}");
        }
    }

    #[test]
    fn a_risky_identity_is_known_by_its_ordinal_alone() {
        for stream in [Stream::RiskyUsers, Stream::RiskyServicePrincipals] {
            let id = |seed| make(&mut fastrand::Rng::with_seed(seed), stream, at(), 77).id;
            assert_eq!(id(1), id(2));
        }
    }

    #[test]
    fn the_founding_records_keep_their_ids_and_times() {
        let [(audits, audit), (sign_ins, sign_in)] = founding();
        assert_eq!(
            (audits, sign_ins),
            (Stream::DirectoryAudits, Stream::SignIns)
        );
        assert_eq!(audit.id, "id");
        assert_eq!(
            text(&parsed(&audit.text), "activityDateTime"),
            "2018-01-09T21:20:02.7215374Z"
        );
        assert_eq!(sign_in.id, "66ea54eb-6301-4ee5-be62-ff5a759b0100");
        assert_eq!(
            text(&parsed(&sign_in.text), "createdDateTime"),
            "2023-12-01T16:03:35Z"
        );
    }
}
