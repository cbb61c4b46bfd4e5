//! Faults of a configuration, gathered so that all are seen at once.

use std::fmt;

use serde::de::DeserializeOwned;
use serde_json::Value;

/// One thing that is wrong: where it stands, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The option's path, as in `tenants[0].client_id`; empty for the file as a whole.
    pub place: String,
    pub remedy: String,
}

/// All that is wrong with one file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// The file's name.
    pub file: String,
    pub list: Vec<Fault>,
}

impl Faults {
    pub fn add(&mut self, place: impl Into<String>, remedy: impl fmt::Display) {
        self.list.push(Fault {
            place: place.into(),
            remedy: remedy.to_string(),
        });
    }

    /// Whether something at, above or below this place was reported already: what is missing
    /// there now may only have been taken out.
    #[must_use]
    pub fn within(&self, place: &str) -> bool {
        self.list
            .iter()
            .any(|fault| lies_in(&fault.place, place) || lies_in(place, &fault.place))
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.list.len();
        let noun = if count == 1 { "fault" } else { "faults" };
        write!(f, "{}: {count} {noun}", self.file)?;
        for fault in &self.list {
            match fault.place.as_str() {
                "" => write!(f, "\n  {}", fault.remedy)?,
                place => write!(f, "\n  {place}: {}", fault.remedy)?,
            }
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}

/// Whether `inner` is `outer` or stands below it.
fn lies_in(inner: &str, outer: &str) -> bool {
    inner
        .strip_prefix(outer)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// Deserialises a tree of which every key is optional. What does not fit is reported and taken
/// out of the tree, and the rest is tried again, so that one fault does not hide the next.
pub fn deserialize<T: DeserializeOwned + Default>(mut tree: Value, faults: &mut Faults) -> T {
    loop {
        match serde_path_to_error::deserialize::<_, T>(&tree) {
            Ok(value) => return value,
            Err(error) => {
                // A key that is none of its map's has no place of its own.
                let path = error.path().to_string();
                let path = path.split(".?").next().unwrap_or_default().to_owned();
                let message = error.into_inner().to_string();
                let place = match unknown_field(&message) {
                    // The key may be the secret.
                    Some(key) => within_secret(&path).unwrap_or_else(|| join(&path, key)),
                    None => path,
                };
                let mut node = pointer(&place);
                let taken_out = message.starts_with("missing field") && faults.within(&place);
                if taken_out || faults.list.iter().any(|fault| fault.place == place) {
                    // Emptied already and still no fit: a list of plain values. The list goes.
                    node.truncate(node.rfind('/').unwrap_or(0));
                } else {
                    faults.add(&place, remedy(&place, &message));
                }
                if node.is_empty() || !take_out(&mut tree, &node) {
                    return T::default();
                }
            }
        }
    }
}

/// serde's own wording, made into what to do. It repeats the value that does not fit, which must
/// not be said of a secret that was written where only its place belongs.
fn remedy(place: &str, message: &str) -> String {
    if place.ends_with(".expires") {
        return "must be a date, as 2027-05-01".into();
    }
    if place.contains("client_secret") || place.contains("password") {
        return "name where the secret is, `env: NAME` or `file: PATH`; the secret itself does \
                not belong here"
            .into();
    }

    let Some(key) = unknown_field(message) else {
        return plain(message);
    };
    let allowed: Vec<&str> = message.split('`').skip(3).step_by(2).collect();
    let nearest = nearest(key, &allowed)
        .map(|name| format!("did you mean `{name}`? "))
        .unwrap_or_default();
    if allowed.is_empty() {
        return "unknown option; nothing can be set here".into();
    }
    format!(
        "unknown option; {nearest}known here: {}",
        allowed.join(", ")
    )
}

/// serde's `invalid type: string "soon", expected u32` and `unknown variant` in an operator's words.
fn plain(message: &str) -> String {
    if message == "invalid socket address syntax" {
        return "must be an address with its port, as 127.0.0.1:9598".into();
    }
    if let Some(rest) = message.strip_prefix("unknown variant `") {
        let known: Vec<&str> = rest.split('`').skip(2).step_by(2).collect();
        let value = rest.split('`').next().unwrap_or_default();
        return format!("{value:?} is not known; known: {}", known.join(", "));
    }
    let told = message
        .strip_prefix("invalid type: ")
        .or_else(|| message.strip_prefix("invalid value: "));
    let Some((is, expected)) = told.and_then(|told| told.split_once(", expected ")) else {
        return message.to_owned();
    };
    let is = ["string ", "integer `", "floating point `", "boolean `"]
        .iter()
        .find_map(|kind| is.strip_prefix(kind))
        .map_or(is, |value| value.trim_end_matches('`'));
    // What stands in place of a group that holds a secret may be that, and is not repeated.
    if expected == "a map" || expected.starts_with("struct ") {
        return "must be options with their values, as `option: value`".into();
    }
    let wanted = match expected {
        "a nonzero u32" => "a whole number from 1 to 4294967295",
        "u32" => "a whole number from 0 to 4294967295",
        "u16" => "a whole number from 0 to 65535",
        "a string" => "a text",
        "path string" => "a path",
        "a sequence" => "a list",
        "socket address" => "an address with its port, as 127.0.0.1:9598",
        "string or map" => "one of the names that docs/configuration.md lists",
        other => other,
    };
    format!("is {is}; it must be {wanted}")
}

/// The name among `allowed` that was probably meant.
pub fn nearest<'a>(name: &str, allowed: &[&'a str]) -> Option<&'a str> {
    allowed
        .iter()
        .map(|candidate| (strsim::jaro_winkler(name, candidate), *candidate))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// The place of the secret that a path lies in, if it does.
fn within_secret(path: &str) -> Option<String> {
    ["client_secret", "password"].iter().find_map(|name| {
        let end = path.find(name)? + name.len();
        Some(path[..end].to_owned())
    })
}

fn unknown_field(message: &str) -> Option<&str> {
    message.strip_prefix("unknown field `")?.split('`').next()
}

/// The path of `key` within `path`; serde sometimes names the key itself as the path's end.
fn join(path: &str, key: &str) -> String {
    if path == "." || path.is_empty() {
        key.to_owned()
    } else if path == key || path.ends_with(&format!(".{key}")) {
        path.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

/// `tenants[0].client_id` as `/tenants/0/client_id`.
fn pointer(place: &str) -> String {
    if place.is_empty() || place == "." {
        return String::new();
    }
    format!(
        "/{}",
        place.replace('[', ".").replace(']', "").replace('.', "/")
    )
}

/// Takes a key out of its object; an element of a list is emptied instead, so that the elements
/// behind it keep their places.
fn take_out(tree: &mut Value, node: &str) -> bool {
    let Some((parent, key)) = node.rsplit_once('/') else {
        return false;
    };
    match tree.pointer_mut(parent) {
        Some(Value::Object(map)) => map.shift_remove(key).is_some(),
        Some(Value::Array(list)) => {
            let element = key
                .parse()
                .ok()
                .and_then(|index: usize| list.get_mut(index));
            element
                .map(|element| *element = Value::Object(Default::default()))
                .is_some()
        }
        _ => false,
    }
}
