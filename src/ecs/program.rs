//! Compiles VRL files into one program and runs it over events, as Vector's `remap` does.

use std::path::Path;

use vrl::{
    compiler::{
        CompileConfig, ExpressionError, Program as Compiled, TargetValue, TimeZone, TypeState,
        runtime::{Runtime, Terminate},
    },
    diagnostic::{DiagnosticMessage, Note},
    owned_value_path,
    path::OwnedTargetPath,
    value::{ObjectMap, Secrets, Value},
};

use super::{joined::Joined, tables::Tables};

/// One VRL file: its name for messages, and its text.
#[derive(Clone, Debug)]
pub struct Source {
    pub name: String,
    pub text: String,
}

impl Source {
    /// Reads a VRL file.
    ///
    /// # Errors
    /// [`ProgramError::Unreadable`] with the path and the system's reason.
    pub fn read(path: &Path) -> Result<Self, ProgramError> {
        let text = std::fs::read_to_string(path).map_err(|source| ProgramError::Unreadable {
            path: path.display().to_string(),
            source,
        })?;
        Ok(Self {
            name: path.display().to_string(),
            text,
        })
    }
}

/// An event as Vector passes it on, `.` and `%` in VRL.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    pub value: Value,
    pub metadata: Value,
}

impl Event {
    /// The events that a program left: of an array one for each element, and what is no object as the
    /// message of one (vector v0.57.0, src/transforms/remap.rs).
    #[must_use]
    pub fn split(self) -> Vec<Self> {
        let values = match self.value {
            Value::Array(values) => values,
            value => vec![value],
        };
        values
            .into_iter()
            .map(|value| Self {
                value: match value {
                    Value::Object(_) => value,
                    other => Value::Object(ObjectMap::from([("message".into(), other)])),
                },
                metadata: self.metadata.clone(),
            })
            .collect()
    }
}

impl From<Value> for Event {
    fn from(value: Value) -> Self {
        Self {
            value,
            metadata: Value::Object(Default::default()),
        }
    }
}

impl From<Event> for TargetValue {
    fn from(event: Event) -> Self {
        Self {
            value: event.value,
            metadata: event.metadata,
            secrets: Secrets::default(),
        }
    }
}

/// Why there is no program to run.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    #[error("cannot read the VRL file {path}: {source}")]
    Unreadable {
        path: String,
        source: std::io::Error,
    },
    #[error("the VRL program does not compile\n{diagnostics}")]
    Invalid { diagnostics: String },
}

/// A compiled program and the state it runs with. Cheap to use from one thread; each thread
/// compiles its own.
pub struct Program {
    compiled: Compiled,
    runtime: Runtime,
    timezone: TimeZone,
    joined: Joined,
    warnings: Option<String>,
}

impl Program {
    /// Compiles the sources, in their order, as one program. `tables` are those that its enrichment
    /// functions may name.
    ///
    /// # Errors
    /// [`ProgramError::Invalid`] with each fault's file and line and VRL's own text.
    pub fn compile(sources: &[Source], tables: &Tables) -> Result<Self, ProgramError> {
        let joined = Joined::new(sources);
        let mut functions = tables.functions();
        functions.extend(vrl::stdlib::all());
        let mut config = CompileConfig::default();
        config.set_read_only_path(OwnedTargetPath::metadata(owned_value_path!("vector")), true);
        let state = TypeState::default();
        let compiled =
            vrl::compiler::compile_with_state(&joined.text(), &functions, &state, config).map_err(
                |list| ProgramError::Invalid {
                    diagnostics: joined.told(&list),
                },
            )?;
        let warnings = (!compiled.warnings.is_empty()).then(|| joined.told(&compiled.warnings));
        Ok(Self {
            compiled: compiled.program,
            runtime: Runtime::default(),
            timezone: utc(),
            joined,
            warnings,
        })
    }

    /// Takes times that name no zone as times of this one, not of UTC.
    pub fn set_timezone(&mut self, timezone: TimeZone) {
        self.timezone = timezone;
    }

    /// What the compiler warned of, as text for a person; `None` when it had nothing to say.
    #[must_use]
    pub fn warnings(&self) -> Option<&str> {
        self.warnings.as_deref()
    }

    /// Runs the program over one event and returns what it made of it: one document, or several
    /// when the program left an array.
    ///
    /// # Errors
    /// VRL's own text when the program aborted or failed; the event is then as good as unmapped.
    pub fn run(&mut self, event: Value) -> Result<Vec<Value>, String> {
        match self.resolve(Event::from(event)) {
            Ok(event) => Ok(event.split().into_iter().map(|event| event.value).collect()),
            Err(Terminate::Abort(error) | Terminate::Error(error)) => Err(self.told(&error)),
        }
    }

    /// Why the program ended early, with file and line.
    #[must_use]
    pub fn told(&self, error: &ExpressionError) -> String {
        match error {
            ExpressionError::Abort { span, .. } => match self.joined.place(span.start()) {
                Some(place) => format!("{} in {place}", reason(error)),
                None => reason(error),
            },
            _ => self.joined.located(&reason(error)),
        }
    }

    /// Runs the program over an event and its metadata.
    ///
    /// # Errors
    /// How the program ended early.
    pub fn resolve(&mut self, event: Event) -> Result<Event, Terminate> {
        let mut target = TargetValue::from(event);
        let outcome = self
            .runtime
            .resolve(&mut target, &self.compiled, &self.timezone);
        self.runtime.clear();
        outcome.map(|_| Event {
            value: target.value,
            metadata: target.metadata,
        })
    }
}

/// The zone of times that name none. Vector's own default is the machine's; but a document must not
/// depend on where it was mapped, and Graph's times carry their zone.
pub(super) fn utc() -> TimeZone {
    TimeZone::parse("UTC").unwrap_or_default()
}

/// Why a program ended early, in Vector's words: the message that the program gave, or VRL's own.
pub(super) fn reason(error: &ExpressionError) -> String {
    let own = error.notes().into_iter().rev().find_map(|note| match note {
        Note::UserErrorMessage(message) => Some(message),
        _ => None,
    });
    own.unwrap_or_else(|| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(name: &str, text: &str) -> Source {
        Source {
            name: name.into(),
            text: text.into(),
        }
    }

    fn mapped(sources: &[Source], event: &str) -> Result<Vec<String>, String> {
        let mut program =
            Program::compile(sources, &Tables::default()).map_err(|error| error.to_string())?;
        let event: serde_json::Value = serde_json::from_str(event).unwrap();
        Ok(program
            .run(event.into())?
            .iter()
            .map(|document| serde_json::to_string(document).unwrap())
            .collect())
    }

    #[test]
    fn files_are_one_program_in_their_order() {
        let sources = [source("a", "x = 1"), source("b", ".y = x + 1")];
        assert_eq!(mapped(&sources, "{}").unwrap(), [r#"{"y":2}"#]);
    }

    #[test]
    fn a_fault_is_named_by_its_file_and_line() {
        let sources = [
            source("first.vrl", ".a = 1\n"),
            source("second.vrl", ".b = 2\n.c = nope(1)\n"),
        ];
        let message = mapped(&sources, "{}").unwrap_err();
        assert!(message.contains("second.vrl, line 2"), "{message}");
    }

    #[test]
    fn an_array_is_several_documents() {
        let sources = [source("a", ". = [{\"n\": 1}, {\"n\": 2}]")];
        assert_eq!(
            mapped(&sources, "{}").unwrap(),
            [r#"{"n":1}"#, r#"{"n":2}"#]
        );
    }

    #[test]
    fn a_failing_program_says_why() {
        let sources = [source("a", ".n = to_int!(.message)")];
        let message = mapped(&sources, r#"{"message": "x"}"#).unwrap_err();
        assert!(message.contains("to_int"), "{message}");
    }

    #[test]
    fn variables_do_not_outlive_their_event() {
        let sources = [source("a", "if exists(.set) { .seen = true }")];
        let mut program = Program::compile(&sources, &Tables::default()).unwrap();
        let first = program.run(vrl::value!({"set": 1})).unwrap();
        let second = program.run(vrl::value!({})).unwrap();
        assert_eq!(first, [vrl::value!({"set": 1, "seen": true})]);
        assert_eq!(second, [vrl::value!({})]);
    }
}
