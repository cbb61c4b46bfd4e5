//! One transform at work: an event in, events out of its outputs.

use std::collections::BTreeMap;

use vrl::{
    compiler::runtime::Terminate,
    value::{ObjectMap, Value},
};

use super::{
    super::{
        Event, Program, Source, reason,
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

/// What came of one event.
#[derive(Default)]
pub struct Left {
    /// Events, and the output that each leaves by: `name`, or `name.port`.
    pub events: Vec<(String, Event)>,
    /// Why the transform's program ended early, and what became of the event.
    pub ended: Option<String>,
}

impl Left {
    fn by(output: impl Into<String>, event: Event) -> Self {
        Self {
            events: vec![(output.into(), event)],
            ended: None,
        }
    }
}

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
    pub fn run(&mut self, name: &str, event: Event) -> Left {
        match self {
            Self::Remap { program, options } => remap(name, program, options, event),
            Self::Filter(check) => match check.holds(&event) {
                Ok(()) => Left::by(name, event),
                Err(_) => Left::default(),
            },
            Self::Route {
                routes,
                unmatched,
                first_only,
            } => {
                let mut left = Left::default();
                for (route, check) in routes {
                    if check.holds(&event).is_ok() {
                        left.events.push((format!("{name}.{route}"), event.clone()));
                        if *first_only {
                            break;
                        }
                    }
                }
                if left.events.is_empty() && *unmatched {
                    return Left::by(format!("{name}.{UNMATCHED}"), event);
                }
                left
            }
        }
    }

    /// What the compiler warned of.
    pub fn warnings(&self) -> Option<&str> {
        match self {
            Self::Remap { program, .. } => program.warnings(),
            _ => None,
        }
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
        _ => {
            let foreign: Vec<&str> = options.others.keys().map(String::as_str).collect();
            let foreign = match foreign.as_slice() {
                [] => String::new(),
                names => format!(" (it has `{}`)", names.join("`, `")),
            };
            return Err(format!(
                "it needs exactly one of `source`, `file` and `files`{foreign}"
            ));
        }
    };
    Program::compile(&sources, tables).map_err(|error| error.to_string())
}

fn remap(name: &str, program: &mut Program, options: &Remap, event: Event) -> Left {
    let (word, dropped, error) = match program.resolve(event.clone()) {
        Ok(mapped) => {
            let events = mapped.split().into_iter();
            return Left {
                events: events.map(|event| (name.to_owned(), event)).collect(),
                ended: None,
            };
        }
        Err(Terminate::Abort(error)) => ("abort", options.drop_on_abort, error),
        Err(Terminate::Error(error)) => ("error", options.drop_on_error, error),
    };
    let (mut left, fate) = match (dropped, options.reroute_dropped) {
        (false, _) => (Left::by(name, event), "passed an event on unmapped"),
        (true, false) => (Left::default(), "dropped an event"),
        (true, true) => {
            let event = rerouted(name, event, word, reason(&error));
            (
                Left::by(format!("{name}.dropped"), event),
                "sent an event to its output `dropped`",
            )
        }
    };
    left.ended = Some(format!("`{name}` {fate}: {}", program.told(&error)));
    left
}

/// The event with what Vector says of a dropped one.
fn rerouted(name: &str, mut event: Event, word: &str, message: String) -> Event {
    let mut why = ObjectMap::new();
    why.insert("reason".into(), word.into());
    why.insert("message".into(), message.into());
    why.insert("component_id".into(), name.into());
    why.insert("component_type".into(), "remap".into());
    why.insert("component_kind".into(), "transform".into());
    event
        .value
        .insert(vrl::path!("metadata", "dropped"), Value::Object(why));
    event
}
