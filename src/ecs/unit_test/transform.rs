//! One transform at work: an event in, events out of its outputs.

use std::collections::BTreeMap;

use serde_json::Value as Json;
use vrl::{
    compiler::{TimeZone, runtime::Terminate},
    value::{ObjectMap, Value},
};

use super::{
    super::{
        Event, Program, Source,
        program::reason,
        tables::Tables,
        vector_config::{ExclusiveRoute, Remap, Route, TransformKind},
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

/// The outputs of the transform of this name.
pub fn outputs_of(name: &str, kind: &TransformKind) -> Vec<String> {
    let ports: Vec<String> = match kind {
        TransformKind::Remap(remap) if remap.reroute_dropped => {
            return vec![name.to_owned(), format!("{name}.dropped")];
        }
        TransformKind::Route(Route {
            route,
            reroute_unmatched,
            ..
        }) => route
            .keys()
            .cloned()
            .chain(reroute_unmatched.then(|| UNMATCHED.to_owned()))
            .collect(),
        TransformKind::ExclusiveRoute(ExclusiveRoute { routes, .. }) => routes
            .iter()
            .map(|route| route.name.clone())
            .chain([UNMATCHED.to_owned()])
            .collect(),
        _ => return vec![name.to_owned()],
    };
    ports.iter().map(|port| format!("{name}.{port}")).collect()
}

const UNMATCHED: &str = "_unmatched";

impl Runner {
    /// Compiles the transform.
    ///
    /// # Errors
    /// The compiler's text, an option that the transform does not have, or that only Vector runs it.
    pub fn new(kind: &TransformKind, tables: &Tables) -> Result<Self, String> {
        Ok(match kind {
            TransformKind::Remap(options) => {
                refuse(&options.others, &["metric_tag_values", "runtime"])?;
                Self::Remap {
                    program: Box::new(program(options, tables)?),
                    options: options.clone(),
                }
            }
            TransformKind::Filter(filter) => {
                refuse(&filter.others, &[])?;
                Self::Filter(Check::compile(&filter.condition, tables)?)
            }
            TransformKind::Route(route) => {
                refuse(&route.others, &[])?;
                Self::Route {
                    routes: route
                        .route
                        .iter()
                        .map(|(name, condition)| {
                            Ok((name.clone(), Check::compile(condition, tables)?))
                        })
                        .collect::<Result<_, String>>()?,
                    unmatched: route.reroute_unmatched,
                    first_only: false,
                }
            }
            TransformKind::ExclusiveRoute(ExclusiveRoute { routes, others }) => {
                refuse(others, &[])?;
                Self::Route {
                    routes: routes
                        .iter()
                        .map(|route| {
                            let check = Check::compile(&route.condition, tables)?;
                            Ok((route.name.clone(), check))
                        })
                        .collect::<Result<_, String>>()?,
                    unmatched: true,
                    first_only: true,
                }
            }
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
        _ => return Err("it needs exactly one of `source`, `file` and `files`".into()),
    };
    let mut program = Program::compile(&sources, tables).map_err(|error| error.to_string())?;
    if let Some(name) = &options.timezone {
        let timezone =
            TimeZone::parse(name).ok_or_else(|| format!("timezone {name:?} is unknown"))?;
        program.set_timezone(timezone);
    }
    Ok(program)
}

/// Refuses options that a transform does not have; `known` are those that change nothing here.
fn refuse(others: &BTreeMap<String, Json>, known: &[&str]) -> Result<(), String> {
    // `graph` is an option of every transform, for drawings of the topology.
    let foreign = |name: &&String| name.as_str() != "graph" && !known.contains(&name.as_str());
    match others.keys().find(foreign) {
        Some(name) => Err(format!("it has no option `{name}`")),
        None => Ok(()),
    }
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
