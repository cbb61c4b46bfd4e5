//! Templates: pretty-printed JSON with placeholders, compiled once, filled for every record.

use super::{
    fields, ids,
    scene::{Scene, Slot},
    times,
};

/// A template ready to be filled.
pub struct Template {
    parts: Vec<Part>,
}

enum Part {
    Text(String),
    Slot(Slot),
}

impl Template {
    /// Takes a template's file apart. A placeholder that stands for nothing known stays in the
    /// text.
    pub fn compile(file: &str) -> Self {
        let compact = compact(file);
        let mut parts = Vec::new();
        let mut rest = compact.as_str();
        let mut text = String::new();
        while let Some((before, after)) = rest.split_once("{{") {
            text.push_str(before);
            let Some((words, after)) = after.split_once("}}") else {
                text.push_str("{{");
                rest = after;
                continue;
            };
            rest = after;
            let words = match words.strip_prefix('#') {
                // The quotes around it make the template valid JSON; the record goes without.
                Some(words) => {
                    text.pop();
                    rest = rest.strip_prefix('"').unwrap_or(rest);
                    words
                }
                None => words,
            };
            match part(words) {
                Some(Part::Text(fixed)) => text.push_str(&fixed),
                Some(slot) => {
                    parts.push(Part::Text(std::mem::take(&mut text)));
                    parts.push(slot);
                }
                None => text.push_str(&format!("{{{{{words}}}}}")),
            }
        }
        text.push_str(rest);
        parts.push(Part::Text(text));
        Self { parts }
    }

    /// The record that the template makes of a scene.
    pub fn fill(&self, scene: &Scene) -> String {
        let mut record = String::with_capacity(4096);
        for part in &self.parts {
            match part {
                Part::Text(text) => record.push_str(text),
                Part::Slot(slot) => scene.write(slot, &mut record),
            }
        }
        record
    }
}

fn part(words: &str) -> Option<Part> {
    let (kind, rest) = words.split_once(' ').unwrap_or((words, ""));
    let label = |text: &str| ids::hash(text, 0);
    let slot = match kind {
        "fixed" => return Some(Part::Text(ids::guid(rest, 0))),
        "guid" => Slot::Guid(label(rest)),
        "hex" => {
            let (digits, name) = rest.split_once(' ')?;
            Slot::Hex(digits.parse().ok()?, label(name))
        }
        "number" => {
            let mut words = rest.splitn(3, ' ');
            let (low, high) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
            (low <= high).then(|| Slot::Number(low, high, label(words.next().unwrap_or(rest))))?
        }
        "pick" => {
            let (name, choices) = rest.split_once('|')?;
            Slot::Pick(choices.split('|').map(str::to_owned).collect(), label(name))
        }
        _ => match times::precision(kind) {
            Some(write) if rest.is_empty() => Slot::Time(write, 0),
            Some(write) => Slot::Time(write, rest.parse().ok()?),
            None => Slot::Field(fields::named(words)?),
        },
    };
    Some(Part::Slot(slot))
}

/// The same JSON without white space between its tokens.
pub fn compact(json: &str) -> String {
    let (mut quoted, mut escaped) = (false, false);
    json.chars()
        .filter(|c| {
            let keep = quoted || !c.is_ascii_whitespace();
            quoted ^= *c == '"' && !escaped;
            escaped = *c == '\\' && !escaped;
            keep
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(template: &str) -> String {
        let at = "2026-07-17T14:10:02Z".parse().unwrap();
        Template::compile(template).fill(&Scene::new(1, "sign_ins", at, 1, None))
    }

    #[test]
    fn white_space_goes_except_inside_strings() {
        assert_eq!(
            filled("{\n  \"a b\" : [ 1, \"c \\\" d\" ]\n}\n"),
            r#"{"a b":[1,"c \" d"]}"#
        );
    }

    #[test]
    fn a_hash_takes_the_quotes_off_the_value() {
        assert_eq!(
            filled(r##"{"a":"{{#number 7 7}}","b":"{{number 7 7}}"}"##),
            r#"{"a":7,"b":"7"}"#
        );
    }

    #[test]
    fn one_label_is_one_value_within_a_record() {
        let filled = filled(r#"["{{guid a}}","{{guid a}}","{{guid b}}"]"#);
        let [a, same, b]: [String; 3] = serde_json::from_str(&filled).unwrap();
        assert_eq!(a, same);
        assert_ne!(a, b);
    }

    #[test]
    fn a_time_can_lie_before_the_records_own() {
        assert_eq!(
            filled(r#""{{at.seconds -62}}""#),
            r#""2026-07-17T14:09:00Z""#
        );
    }

    #[test]
    fn an_unknown_placeholder_stays_and_shows() {
        assert_eq!(filled(r#""{{nobody.name}}{{""#), r#""{{nobody.name}}{{""#);
    }
}
