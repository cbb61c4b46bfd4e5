//! From one line (a Graph record or an event of the source) to ECS documents.

use chrono::Utc;
use serde_json::json;
use vrl::value::Value;

use super::{Program, ProgramError, Source, tables::Tables};

/// A program at work, with a count of what it could not map.
pub struct Mapper {
    /// What an event goes through before the mapping.
    before: Option<Program>,
    program: Program,
    /// Documents of kind `pipeline_error` so far, the mapping's own and those of a failing program.
    pub pipeline_errors: u64,
}

impl Mapper {
    /// A mapper over the given files; `tables` are those that they may name.
    ///
    /// # Errors
    /// As [`Program::compile`].
    pub fn new(sources: &[Source], tables: &Tables) -> Result<Self, ProgramError> {
        Ok(Self {
            before: None,
            program: Program::compile(sources, tables)?,
            pipeline_errors: 0,
        })
    }

    /// What the compiler warned of.
    #[must_use]
    pub fn warnings(&self) -> Option<&str> {
        self.program.warnings()
    }

    /// Lets each event go through a program of its own first, as a transform before the mapping
    /// would.
    pub fn before(&mut self, program: Program) {
        self.before = Some(program);
    }

    /// Maps one line. There is always at least one document: a line that the program fails on
    /// becomes a `pipeline_error` with the line in `message`. (A line of Event Hubs holds as many
    /// records as it holds, also none.)
    pub fn map(&mut self, line: &str) -> Vec<String> {
        let Some(before) = &mut self.before else {
            return self.map_event(line, event(line));
        };
        match before.run(event(line)) {
            Ok(events) => events
                .into_iter()
                .flat_map(|event| self.map_event(line, event))
                .collect(),
            Err(reason) => vec![self.written(line, failed(line, &reason))],
        }
    }

    fn map_event(&mut self, line: &str, event: Value) -> Vec<String> {
        let documents = match self.program.run(event) {
            Ok(documents) if !documents.is_empty() => documents,
            Ok(_) => vec![failed(line, "the VRL program left no document")],
            Err(reason) => vec![failed(line, &format!("the VRL program failed: {reason}"))],
        };
        documents
            .into_iter()
            .map(|document| self.written(line, document))
            .collect()
    }

    fn written(&mut self, line: &str, document: Value) -> String {
        if is_pipeline_error(&document) {
            self.pipeline_errors += 1;
        }
        // A VRL value holds no map with other keys than text and no foreign types, so writing it
        // can only fail on a float that JSON does not know.
        serde_json::to_string(&document).unwrap_or_else(|error| {
            self.pipeline_errors += 1;
            let reason = format!("the document cannot be written as JSON: {error}");
            failed(line, &reason).to_string()
        })
    }
}

/// A source event as it is; anything else wrapped as the source would, so that bare Graph records
/// can be mapped too. A Graph record has an `id` and no `message`.
fn event(line: &str) -> Value {
    match serde_json::from_str::<serde_json::Value>(line) {
        Ok(event) if event["message"].is_string() && event.get("id").is_none() => event.into(),
        _ => json!({ "message": line }).into(),
    }
}

fn failed(line: &str, reason: &str) -> Value {
    json!({
        "@timestamp": Utc::now(),
        "message": line,
        "event": { "kind": "pipeline_error" },
        "error": { "message": reason },
    })
    .into()
}

fn is_pipeline_error(document: &Value) -> bool {
    document
        .get(vrl::path!("event", "kind"))
        .and_then(Value::as_str)
        .is_some_and(|kind| kind == "pipeline_error")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapper(program: &str) -> Mapper {
        Mapper::new(
            &[Source {
                name: "test.vrl".into(),
                text: program.into(),
            }],
            &Tables::default(),
        )
        .unwrap()
    }

    #[test]
    fn a_bare_record_is_wrapped_and_an_event_is_not() {
        let mut mapper = mapper(".");
        assert_eq!(
            mapper.map(r#"{"id":"1"}"#),
            [r#"{"message":"{\"id\":\"1\"}"}"#]
        );
        assert_eq!(mapper.map(r#"{"message":"{}"}"#), [r#"{"message":"{}"}"#]);
    }

    #[test]
    fn a_line_that_fails_the_program_is_a_document_too() {
        let mut mapper = mapper(". = parse_json!(.message)");
        let documents = mapper.map("not json");
        let document: serde_json::Value = serde_json::from_str(&documents[0]).unwrap();
        assert_eq!(document["message"], "not json");
        assert_eq!(document["event"]["kind"], "pipeline_error");
        assert_eq!(mapper.pipeline_errors, 1);
    }
}
