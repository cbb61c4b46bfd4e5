//! Small steps from Graph's way of writing to Azure's.

use chrono::DateTime;
use serde_json::{Map, Value};

/// `8/22/2022 6:11:52 PM`
pub fn american(time: &str) -> String {
    let time = DateTime::parse_from_rfc3339(time).unwrap();
    time.format("%-m/%-d/%Y %-I:%M:%S %p").to_string()
}

/// `2026-07-17T05:10:02.1234567+00:00`: with a fraction also where Graph has whole seconds.
pub fn exported(time: &str) -> String {
    match time.trim_end_matches('Z') {
        whole if !whole.contains('.') => format!("{whole}.1234567+00:00"),
        time => format!("{time}+00:00"),
    }
}

/// `2022-09-09T9:59:27.958Z`
pub fn unpadded(time: &str) -> String {
    let time = DateTime::parse_from_rfc3339(time).unwrap();
    time.format("%Y-%m-%dT%-H:%M:%S%.3fZ").to_string()
}

pub fn each_time(value: &mut Value, rewrite: fn(&str) -> String) {
    match value {
        Value::Object(map) => {
            for (name, value) in map.iter_mut() {
                match value {
                    Value::String(time) if name.ends_with("DateTime") => *time = rewrite(time),
                    value => each_time(value, rewrite),
                }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(|value| each_time(value, rewrite)),
        _ => {}
    }
}

pub fn without_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, value| !value.is_null());
            map.values_mut().for_each(without_nulls);
        }
        Value::Array(list) => list.iter_mut().for_each(without_nulls),
        _ => {}
    }
}

pub fn place(words: &[&str], word: &str) -> usize {
    words.iter().position(|there| *there == word).unwrap()
}

pub fn capital(word: &str) -> String {
    let (first, rest) = word.split_at(1);
    first.to_uppercase() + rest
}

pub fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

/// The elements of a list, if it is one.
pub fn items<'a>(value: &'a mut Value, name: &str) -> impl Iterator<Item = &'a mut Value> {
    value
        .get_mut(name)
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
}

pub fn rename(map: &mut Map<String, Value>, old: &str, new: &str) {
    if let Some(value) = map.remove(old) {
        map.insert(new.to_owned(), value);
    }
}

pub fn add(to: &mut Value, more: &Value) {
    for (name, value) in more.as_object().unwrap() {
        to[name] = value.clone();
    }
}
