//! Compiles VRL files into one program and runs it over events, as Vector's `remap` does.

use std::path::Path;

use vrl::{
    compiler::{
        CompileConfig, Program as Compiled, TargetValue, TimeZone, TypeState,
        runtime::{Runtime, Terminate},
    },
    diagnostic::{DiagnosticList, Formatter},
    value::{Secrets, Value},
};

use super::tables::Tables;

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
    #[error("the VRL program does not compile; first at {place}\n{diagnostics}")]
    Invalid { place: String, diagnostics: String },
}

/// A compiled program and the state it runs with. Cheap to use from one thread; each thread
/// compiles its own.
pub struct Program {
    compiled: Compiled,
    runtime: Runtime,
    timezone: TimeZone,
    warnings: Option<String>,
}

impl Program {
    /// Joins the sources in their order with a line break between them and compiles the result,
    /// as Vector does with `remap.files` (vector v0.57.0, src/transforms/remap.rs). `tables` are those
    /// that its enrichment functions may name.
    ///
    /// # Errors
    /// [`ProgramError::Invalid`] with the file and line of the first fault and VRL's own text.
    pub fn compile(sources: &[Source], tables: &Tables) -> Result<Self, ProgramError> {
        let text = sources
            .iter()
            .map(|source| source.text.as_str())
            .collect::<Vec<_>>()
            .join("\n");
        let mut functions = Tables::functions();
        functions.extend(vrl::stdlib::all());
        let mut config = CompileConfig::default();
        config.set_custom(tables.clone());
        let compiled =
            vrl::compiler::compile_with_state(&text, &functions, &TypeState::default(), config)
                .map_err(|list| ProgramError::Invalid {
                    place: place(sources, &list),
                    diagnostics: Formatter::new(&text, list).to_string(),
                })?;
        let warnings = (!compiled.warnings.is_empty())
            .then(|| Formatter::new(&text, compiled.warnings).to_string());
        Ok(Self {
            compiled: compiled.program,
            runtime: Runtime::default(),
            // Vector's own default is the machine's zone. Graph's times carry theirs, and a
            // document must not depend on where it was mapped.
            timezone: TimeZone::parse("UTC").unwrap_or_default(),
            warnings,
        })
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
            Ok(Event {
                value: Value::Array(documents),
                ..
            }) => Ok(documents),
            Ok(event) => Ok(vec![event.value]),
            Err(terminated) => Err(terminated.to_string()),
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

/// File and line of the first diagnostic, so that a fault in the third of five files is looked
/// for there and not at a line of the joined text.
fn place(sources: &[Source], list: &DiagnosticList) -> String {
    let offset = list
        .iter()
        .flat_map(|diagnostic| diagnostic.labels())
        .map(|label| label.span.start())
        .next();
    let Some(mut offset) = offset else {
        return "the whole program".into();
    };
    for source in sources {
        if offset <= source.text.len() {
            let line = 1 + source
                .text
                .bytes()
                .take(offset)
                .filter(|b| *b == b'\n')
                .count();
            return format!("{}, line {line}", source.name);
        }
        offset -= source.text.len() + 1;
    }
    "the end of the program".into()
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
