//! The VRL that is generated from the catalogue: each property of a kind, told in its type.

use std::fmt::Write;

use super::{Catalogue, Kind, Property, Type};

const HEAD: &str = "\
# azure.entraid.properties: Graph's own names and values. Generated from catalogue.yaml, which lists
# them with their types; what is not there becomes azure.entraid.other (70_other.vrl).
#
# A value that cannot be told in its type is left to the raw text.
#
#   keyword   to_string(...) ?? null   numbers and booleans become text
#   boolean   true and false, also as text
#   long      a whole number, also as text
#   date      text as Graph writes it, where it has the form that an index takes
#   lists     of texts, of objects: an element of another sort is left out, nulls stay

date_form = r'^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})$'
whole = r'^-?[0-9]{1,18}$'
time = \"\"  # when it happened, as Graph writes it
";

/// `base/20_properties.vrl`.
pub fn properties(catalogue: &Catalogue) -> String {
    let mut text = HEAD.to_string();
    for kind in Kind::ALL {
        let of_kind: Vec<&Property> = catalogue
            .properties
            .iter()
            .filter(|property| property.of.contains(&kind) && !by_hand(property, kind))
            .collect();
        let time = kind.time();
        let _ = write!(
            text,
            "\nif kind == \"{}\" {{\n  time = to_string(del(rest.{time})) ?? \"\"\n  \
             .azure.entraid.properties = compact({{\n",
            kind.name()
        );
        let style = Style {
            from: "rest",
            name: str::to_string,
            time: Some(time),
            elastic: false,
        };
        group(&mut text, &of_kind, "", 4, &style);
        text.push_str("  }, recursive: false, array: false)\n}\n");
    }
    text
}

fn by_hand(property: &Property, kind: Kind) -> bool {
    property.by.is_some() && kind == Kind::Audit
}

/// How the lines of one list are written.
pub struct Style {
    /// The variable that the values are taken from.
    pub from: &'static str,
    /// The name of a property in the document.
    pub name: fn(&str) -> String,
    /// The property that has been taken into `time` already.
    pub time: Option<&'static str>,
    /// Whether lists are written as Elastic does, names within them too.
    pub elastic: bool,
}

/// Writes the lines for the properties below `prefix`, groups within their own braces.
pub fn group(
    text: &mut String,
    properties: &[&Property],
    prefix: &str,
    indent: usize,
    style: &Style,
) {
    let margin = " ".repeat(indent);
    let mut groups: Vec<&str> = Vec::new();
    for property in properties {
        let Some(below) = property.name.strip_prefix(prefix) else {
            continue;
        };
        if let Some((group_name, _)) = below.split_once('.') {
            if groups.contains(&group_name) {
                continue;
            }
            groups.push(group_name);
            let path = format!("{prefix}{group_name}");
            let _ = writeln!(
                text,
                "{margin}\"{}\": {{ if exists({}.{path}) {{ compact({{",
                (style.name)(group_name),
                style.from
            );
            group(text, properties, &format!("{path}."), indent + 2, style);
            let _ = writeln!(text, "{margin}}}) }} }},");
        } else {
            line(text, property, below, &margin, style);
        }
    }
}

fn line(text: &mut String, property: &Property, below: &str, margin: &str, style: &Style) {
    let name = (style.name)(below);
    let path = format!("{}.{}", style.from, property.name);
    if style.elastic
        && let Some(value) = elastic_value(property, &path, margin)
    {
        let _ = writeln!(text, "{margin}\"{name}\": {value},");
        return;
    }
    let value = match property.sort {
        Type::Keyword | Type::LongText => format!("to_string(del({path})) ?? null"),
        Type::Boolean => format!(
            "{{ flag = to_string(del({path})) ?? \"\"; if flag == \"true\" {{ true }} else if flag == \"false\" {{ false }} }}"
        ),
        Type::Long => format!(
            "{{ number = to_string(del({path})) ?? \"\"; if match(number, whole) {{ to_int(number) ?? null }} }}"
        ),
        Type::Float => format!(
            "{{ number = to_string(del({path})) ?? \"\"; if match(number, whole) {{ to_int(number) ?? null }} else if match(number, decimal) {{ to_float(number) ?? null }} }}"
        ),
        Type::Date if style.time == Some(&property.name) => {
            "{ if match(time, date_form) && is_timestamp(parse_timestamp(time, \"%+\") ?? null) { time } }".into()
        }
        Type::Date => format!(
            "{{ date = to_string(del({path})) ?? \"\"; if match(date, date_form) && is_timestamp(parse_timestamp(date, \"%+\") ?? null) {{ date }} }}"
        ),
        Type::Keywords => format!(
            "{{
{margin}  list = del({path})
{margin}  if match_array(list, r'', all: true) ?? false {{
{margin}    list
{margin}  }} else if is_array(list) {{
{margin}    filter(array(list) ?? []) -> |_index, item| {{ is_string(item) || item == null }}
{margin}  }}
{margin}}}"
        ),
        Type::Objects => format!(
            "{{
{margin}  if exists({path}[0]) {{
{margin}    filter(array(del({path})) ?? []) -> |_index, item| {{ is_object(item) || item == null }}
{margin}  }} else {{
{margin}    array(del({path})) ?? null
{margin}  }}
{margin}}}"
        ),
        other => panic!("{}: no property has type {other:?}", property.name),
    };
    let _ = writeln!(text, "{margin}\"{name}\": {value},");
}

/// The lists that Elastic writes in its own way.
fn elastic_value(property: &Property, path: &str, margin: &str) -> Option<String> {
    match (property.name.as_str(), property.sort) {
        // An object, each element under its key.
        ("authenticationProcessingDetails", _) => Some(format!(
            "{{
{margin}  details = compact({{}})
{margin}  for_each(array(del({path})) ?? []) -> |_index, detail| {{
{margin}    key = to_string(del(detail.key)) ?? \"\"
{margin}    if strip_whitespace(key) != \"\" && !contains(key, \"\\0\") {{
{margin}      details = set(details, [key], to_string(del(detail.value)) ?? null) ?? details
{margin}    }}
{margin}  }}
{margin}  details
{margin}}}"
        )),
        ("conditionalAccessAudiences", _) => Some(format!(
            "map_values(array(del({path})) ?? []) -> |audience| {{ {{ \"application_id\": to_string(audience) ?? null }} }}"
        )),
        // What is no object becomes an empty one, and goes.
        (_, Type::Objects) => Some(format!(
            "map_values(array(del({path})) ?? []) -> |item| {{
{margin}  map_keys(object(item) ?? {{}}, recursive: true) -> |name| {{ downcase(replace(name, r'([a-z])([A-Z]+)', \"${{1}}_${{2}}\")) }}
{margin}}}"
        )),
        _ => None,
    }
}

const ELASTIC_HEAD: &str = "\
# Overlay elastic: azure.signinlogs.properties. Generated from catalogue.yaml: every property of a
# sign-in under the name that Elastic gives it, told in its type. What is in no list follows in
# 22_sign_in_rest.vrl.

groups = r'^(?:GROUPS)$'  # properties that are objects
decimal = r'^-?[0-9]{1,15}\\.[0-9]{1,9}$'

if layer == \"signinlogs\" {
  .azure.signinlogs.properties = compact({
";

/// `overlays/elastic/20_sign_in_properties.vrl`.
pub fn elastic_sign_in(catalogue: &Catalogue) -> String {
    let further: Vec<Property> = catalogue
        .elastic
        .iter()
        .filter_map(|field| {
            Some(Property {
                name: field.graph.clone()?,
                sort: field.sort,
                of: vec![Kind::SignIn],
                beta: false,
                by: None,
            })
        })
        .collect();
    let own = |property: &&Property| further.iter().all(|there| there.name != property.name);
    let listed = catalogue
        .properties
        .iter()
        .filter(|property| property.of.contains(&Kind::SignIn));
    let all: Vec<&Property> = further.iter().chain(listed.filter(own)).collect();
    let mut groups: Vec<&str> = all
        .iter()
        .filter_map(|property| Some(property.name.split_once('.')?.0))
        .collect();
    groups.dedup();
    let mut text = ELASTIC_HEAD.replace("GROUPS", &groups.join("|"));
    let style = Style {
        from: "taken",
        name: elastic_name,
        time: None,
        elastic: true,
    };
    group(&mut text, &all, "", 4, &style);
    text.push_str("  })\n}\n");
    text
}

/// Elastic's spelling of a property's name: `riskLevelDuringSignIn` is `risk_level_during_signin`.
pub fn elastic_name(name: &str) -> String {
    let parts: Vec<String> = name.split('.').map(snake).collect();
    match parts.join(".").as_str() {
        "created_date_time" => "created_at".into(),
        "processing_time_in_milliseconds" => "processing_time_ms".into(),
        "risk_level_during_sign_in" => "risk_level_during_signin".into(),
        other => other.into(),
    }
}

/// A lower-case letter followed by upper-case ones is where a word ends.
fn snake(name: &str) -> String {
    let mut out = String::new();
    let mut before = ' ';
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && before.is_ascii_lowercase() {
            out.push('_');
        }
        out.extend(letter.to_lowercase());
        before = letter;
    }
    out
}
