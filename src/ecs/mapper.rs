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
            return self.map_event(event(line));
        };
        match before.run(event(line)) {
            Ok(events) => events
                .into_iter()
                .flat_map(|event| self.map_event(event))
                .collect(),
            Err(reason) => vec![self.failed(line, &program_failed(&reason))],
        }
    }

    fn map_event(&mut self, event: Value) -> Vec<String> {
        // Shares the text's bytes; it is only told where the mapping fails.
        let message = event.get(vrl::path!("message")).cloned();
        let documents = match self.program.run(event) {
            Ok(documents) if !documents.is_empty() => documents,
            Ok(_) => return vec![self.unmapped(message, "the VRL program left no document")],
            Err(reason) => return vec![self.unmapped(message, &program_failed(&reason))],
        };
        documents
            .iter()
            .map(|document| match serde_json::to_string(document) {
                Ok(written) => {
                    self.pipeline_errors += u64::from(is_pipeline_error(document));
                    written
                }
                Err(error) => {
                    let reason = format!("the document cannot be written as JSON: {error}");
                    self.unmapped(message.clone(), &reason)
                }
            })
            .collect()
    }

    fn unmapped(&mut self, message: Option<Value>, reason: &str) -> String {
        let text = message.map(|text| text.to_string_lossy().into_owned());
        self.failed(&text.unwrap_or_default(), reason)
    }

    fn failed(&mut self, text: &str, reason: &str) -> String {
        self.pipeline_errors += 1;
        json!({
            "@timestamp": Utc::now(),
            "message": text,
            "event": { "kind": "pipeline_error" },
            "error": { "message": reason },
        })
        .to_string()
    }
}

fn program_failed(reason: &str) -> String {
    format!("the VRL program failed: {reason}")
}

/// A source event as it is; anything else wrapped as the source would, so that bare Graph records
/// can be mapped too. A Graph record has an `id` and no `message`.
fn event(line: &str) -> Value {
    match serde_json::from_str::<serde_json::Value>(line) {
        Ok(event) if event["message"].is_string() && event.get("id").is_none() => event.into(),
        _ => json!({ "message": line }).into(),
    }
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
