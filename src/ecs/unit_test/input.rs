//! The event that a test inserts.

use vrl::{
    path::parse_target_path,
    value::{ObjectMap, Value},
};

use super::super::{Event, Program, Source, tables::Tables, vector_config::Input};

/// Builds it: `raw` and `log` events have a `message` and a `timestamp`, `vrl` ones only what the
/// program sets. (Such a program sees no tables, as in Vector.)
///
/// # Errors
/// What the input lacks or why it cannot be built.
pub fn event(input: &Input) -> Result<Event, String> {
    let lacks = |field: &str| format!("an input of type `{}` needs `{field}`", input.sort);
    match input.sort.as_str() {
        "raw" => {
            let value = input.value.as_deref().ok_or_else(|| lacks("value"))?;
            Ok(log(value))
        }
        "log" => {
            let fields = input
                .log_fields
                .as_ref()
                .ok_or_else(|| lacks("log_fields"))?;
            let mut event = log("");
            for (name, value) in fields {
                let path = parse_target_path(name)
                    .map_err(|error| format!("the field `{name}` of an input: {error}"))?;
                let place = match path.prefix {
                    vrl::path::PathPrefix::Event => &mut event.value,
                    vrl::path::PathPrefix::Metadata => &mut event.metadata,
                };
                place.insert(&path.path, Value::from(value.clone()));
            }
            Ok(event)
        }
        "vrl" => {
            let text = input.source.as_deref().ok_or_else(|| lacks("source"))?;
            let source = Source {
                name: "the input's source".into(),
                text: text.into(),
            };
            let mut program = Program::compile(&[source], &Tables::default())
                .map_err(|error| error.to_string())?;
            program.resolve(empty()).map_err(|ended| {
                format!(
                    "the input's source failed: {}",
                    program.told(&ended.get_expression_error())
                )
            })
        }
        "metric" => Err("inputs of type `metric` are for Vector alone; run `vector test`".into()),
        other => Err(format!(
            "an input's type is `raw`, `log` or `vrl`, not `{other}`"
        )),
    }
}

fn log(message: &str) -> Event {
    let mut event = empty();
    event.value.insert(vrl::path!("message"), message);
    event
        .value
        .insert(vrl::path!("timestamp"), chrono::Utc::now());
    event
}

fn empty() -> Event {
    Event::from(Value::Object(ObjectMap::new()))
}
