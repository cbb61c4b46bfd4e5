//! Whether a document holds every field in its type of the catalogue.

use std::net::IpAddr;

use chrono::{DateTime, NaiveDate};
use serde_json::Value;

use super::Type;

/// What in the document is not of its type, one text each. Fields below `open` are in no catalogue:
/// an index does not read them.
pub fn misfits(document: &Value, fields: &[(String, Type)], open: &[&str]) -> Vec<String> {
    let mut misfits = Vec::new();
    look(document, String::new(), fields, open, &mut misfits);
    misfits
}

fn look(
    value: &Value,
    path: String,
    fields: &[(String, Type)],
    open: &[&str],
    misfits: &mut Vec<String>,
) {
    if let Some((_, sort)) = fields.iter().find(|(name, _)| same(name, &path))
        && *sort != Type::Nested
    {
        if !fits(value, *sort) {
            misfits.push(format!("{path} is no {}: {value}", sort.name()));
        }
        return;
    }
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let below = match path.as_str() {
                    "" => key.clone(),
                    path => format!("{path}.{key}"),
                };
                look(value, below, fields, open, misfits);
            }
        }
        Value::Array(list) if is_within(&path, fields) => {
            for value in list {
                look(value, path.clone(), fields, open, misfits);
            }
        }
        // A value where the catalogue has an object: an index would refuse the document.
        _ if is_within(&path, fields) => misfits.push(format!("{path} is no object: {value}")),
        _ if open.iter().any(|open| path.starts_with(open)) => {}
        _ => misfits.push(format!("{path} is in no catalogue: {value}")),
    }
}

/// Whether the catalogue has fields below this one.
fn is_within(path: &str, fields: &[(String, Type)]) -> bool {
    let depth = path.split('.').count();
    fields.iter().any(|(name, _)| {
        let parts: Vec<&str> = name.split('.').collect();
        parts.len() > depth && same(&parts[..depth].join("."), path)
    })
}

/// A `*` in the catalogue stands for any number.
fn same(name: &str, path: &str) -> bool {
    if !name.contains('*') {
        return name == path;
    }
    name.split('.').count() == path.split('.').count()
        && name
            .split('.')
            .zip(path.split('.'))
            .all(|(name, part)| name == part || name == "*" && part.parse::<usize>().is_ok())
}

fn fits(value: &Value, sort: Type) -> bool {
    let all = |sort: Type| {
        value
            .as_array()
            .is_some_and(|list| list.iter().all(|item| item.is_null() || fits(item, sort)))
    };
    match sort {
        Type::Keyword | Type::LongText | Type::Text => value.is_string(),
        Type::Long => value.is_i64(),
        Type::Float => value.is_number(),
        Type::Boolean => value.is_boolean(),
        Type::Date => value.as_str().is_some_and(is_date),
        Type::Ip => value
            .as_str()
            .is_some_and(|text| text.parse::<IpAddr>().is_ok()),
        Type::GeoPoint => {
            let within = |name: &str, most: f64| {
                value[name]
                    .as_f64()
                    .is_some_and(|number| number.abs() <= most)
            };
            within("lat", 90.0) && within("lon", 180.0)
        }
        Type::Keywords => all(Type::Keyword),
        Type::Ips => all(Type::Ip),
        Type::Objects => all(Type::Flattened),
        Type::Flattened => value.is_object() || value.is_array() && all(Type::Flattened),
        Type::Nested => true,
    }
}

/// A date that an index takes. Elasticsearch reads no more than nine digits of a second.
fn is_date(text: &str) -> bool {
    DateTime::parse_from_rfc3339(text).is_ok()
        || NaiveDate::parse_from_str(text, "%Y-%m-%d").is_ok()
}

#[test]
fn what_is_not_of_its_type_is_found() {
    let document = serde_json::json!({
        "id": 5,
        "ip": "300.0.0.1",
        "time": "2026-02-30T10:00:00Z",
        "names": ["a", null, 1],
        "user": "Ada",
        "targets": {"0": {"id": "t"}, "first": {"id": "t"}},
        "kept": {"any": 1},
        "odd": true,
    });
    let fields = [
        ("id", Type::Keyword),
        ("ip", Type::Ip),
        ("time", Type::Date),
        ("names", Type::Keywords),
        ("user.id", Type::Keyword),
        ("targets.*.id", Type::Keyword),
    ]
    .map(|(name, sort)| (name.to_owned(), sort));
    let mut misfits = misfits(&document, &fields, &["kept."]);
    misfits.sort();
    assert_eq!(
        misfits,
        [
            "id is no keyword: 5",
            "ip is no ip: \"300.0.0.1\"",
            "names is no keywords: [\"a\",null,1]",
            "odd is in no catalogue: true",
            "targets.first.id is in no catalogue: \"t\"",
            "time is no date: \"2026-02-30T10:00:00Z\"",
            "user is no object: \"Ada\"",
        ]
    );
}
