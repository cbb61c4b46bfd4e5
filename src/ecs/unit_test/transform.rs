//! One transform at work: an event in, events out of its outputs.

use std::collections::BTreeMap;

use vrl::{
    compiler::{ExpressionError, runtime::Terminate},
    diagnostic::{DiagnosticMessage, Note},
    value::{ObjectMap, Value},
};

use super::{
    super::{
        Event, Program, Source,
        tables::Tables,
        vector_config::{Remap, Transform, TransformKind},
    },
    condition::Check,
};

/// A transform, compiled.
pub enum Runner {
    Remap {
        program: Box<Program>,
        options: Remap,
    },
    Filter(Check),
    Route {
        routes: Vec<(String, Check)>,
        unmatched: bool,
        first_only: bool,
    },
}

/// An event and the output that it leaves by: `name`, or `name.port`.
pub type Left = Vec<(String, Event)>;

/// Every output of these transforms.
pub fn outputs(transforms: &BTreeMap<String, Transform>) -> impl Iterator<Item = String> {
    transforms.iter().flat_map(|(name, transform)| {
        let ports: Vec<String> = match &transform.kind {
            TransformKind::Remap(remap) if remap.reroute_dropped => {
                return vec![name.clone(), format!("{name}.dropped")];
            }
            TransformKind::Route {
                route,
                reroute_unmatched,
            } => route
                .keys()
                .cloned()
                .chain(reroute_unmatched.then(|| UNMATCHED.to_owned()))
                .collect(),
            TransformKind::ExclusiveRoute { routes } => routes
                .iter()
                .map(|route| route.name.clone())
                .chain([UNMATCHED.to_owned()])
                .collect(),
            _ => return vec![name.clone()],
        };
        ports.iter().map(|port| format!("{name}.{port}")).collect()
    })
}

const UNMATCHED: &str = "_unmatched";

impl Runner {
    /// Compiles the transform.
    ///
    /// # Errors
    /// The compiler's text, or that only Vector runs such a transform.
    pub fn new(kind: &TransformKind, tables: &Tables) -> Result<Self, String> {
        Ok(match kind {
            TransformKind::Remap(options) => Self::Remap {
                program: Box::new(program(options, tables)?),
                options: options.clone(),
            },
            TransformKind::Filter { condition } => Self::Filter(Check::compile(condition)?),
            TransformKind::Route {
                route,
                reroute_unmatched,
            } => Self::Route {
                routes: route
                    .iter()
                    .map(|(name, condition)| Ok((name.clone(), Check::compile(condition)?)))
                    .collect::<Result<_, String>>()?,
                unmatched: *reroute_unmatched,
                first_only: false,
            },
            TransformKind::ExclusiveRoute { routes } => Self::Route {
                routes: routes
                    .iter()
                    .map(|route| Ok((route.name.clone(), Check::compile(&route.condition)?)))
                    .collect::<Result<_, String>>()?,
                unmatched: true,
                first_only: true,
            },
            TransformKind::Foreign => {
                return Err("only Vector runs this type; run `vector test`".into());
            }
        })
    }

    /// Runs it over one event.
    ///
    /// # Errors
    /// None that a transform can have; they leave by its outputs.
    pub fn run(&mut self, name: &str, event: Event) -> Result<Left, String> {
        Ok(match self {
            Self::Remap { program, options } => remap(name, program, options, event),
            Self::Filter(check) => match check.holds(&event) {
                Ok(()) => vec![(name.into(), event)],
                Err(_) => Vec::new(),
            },
            Self::Route {
                routes,
                unmatched,
                first_only,
            } => {
                let mut left = Vec::new();
                for (route, check) in routes {
                    if check.holds(&event).is_ok() {
                        left.push((format!("{name}.{route}"), event.clone()));
                        if *first_only {
                            break;
                        }
                    }
                }
                if left.is_empty() && *unmatched {
                    left.push((format!("{name}.{UNMATCHED}"), event));
                }
                left
            }
        })
    }
}

fn program(options: &Remap, tables: &Tables) -> Result<Program, String> {
    let sources = match (&options.source, &options.file, &options.files) {
        (Some(text), None, None) => vec![Source {
            name: "source".into(),
            text: text.clone(),
        }],
        (None, Some(file), None) => vec![Source::read(file).map_err(|error| error.to_string())?],
        (None, None, Some(files)) => files
            .iter()
            .map(|file| Source::read(file).map_err(|error| error.to_string()))
            .collect::<Result<_, _>>()?,
        _ => return Err("it needs exactly one of `source`, `file` and `files`".into()),
    };
    Program::compile(&sources, tables).map_err(|error| error.to_string())
}

fn remap(name: &str, program: &mut Program, options: &Remap, event: Event) -> Left {
    let (reason, dropped, error) = match program.resolve(event.clone()) {
        Ok(mapped) => {
            return split(mapped)
                .into_iter()
                .map(|event| (name.to_owned(), event))
                .collect();
        }
        Err(Terminate::Abort(error)) => ("abort", options.drop_on_abort, error),
        Err(Terminate::Error(error)) => ("error", options.drop_on_error, error),
    };
    if !dropped {
        return vec![(name.into(), event)];
    }
    if !options.reroute_dropped {
        return Vec::new();
    }
    let mut event = event;
    let mut why = ObjectMap::new();
    why.insert("reason".into(), reason.into());
    why.insert("message".into(), message(&error).into());
    why.insert("component_id".into(), name.into());
    why.insert("component_type".into(), "remap".into());
    why.insert("component_kind".into(), "transform".into());
    event
        .value
        .insert(vrl::path!("metadata", "dropped"), Value::Object(why));
    vec![(format!("{name}.dropped"), event)]
}

/// An array is an event for each element; what is no object becomes the message of one.
fn split(event: Event) -> Vec<Event> {
    let values = match event.value {
        Value::Array(values) => values,
        value => vec![value],
    };
    values
        .into_iter()
        .map(|value| Event {
            value: match value {
                Value::Object(_) => value,
                other => Value::Object(ObjectMap::from([("message".into(), other)])),
            },
            metadata: event.metadata.clone(),
        })
        .collect()
}

/// The program's own message where it gave one.
fn message(error: &ExpressionError) -> String {
    let own = error.notes().into_iter().rev().find_map(|note| match note {
        Note::UserErrorMessage(message) => Some(message),
        _ => None,
    });
    own.unwrap_or_else(|| error.to_string())
}
