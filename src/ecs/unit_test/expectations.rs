//! What a test expects, compiled before anything runs, and the judgement on what came.
//! Merged and refused as Vector 0.57 does (`build_outputs` in src/config/unit_test/mod.rs).

use std::collections::BTreeMap;

use vrl::value::Value;

use super::{
    super::{
        Event,
        tables::Tables,
        vector_config::{Output, Test},
    },
    Arrived,
    condition::Check,
};

/// All that a test expects.
pub struct Expectations {
    /// By the outputs that events are extracted from.
    outputs: BTreeMap<Vec<String>, Expected>,
    silent: Vec<String>,
}

/// What is expected of the events from some outputs.
#[derive(Default)]
struct Expected {
    events: Option<usize>,
    /// For each entry of `outputs:` its conditions. A condition holds when any of the events meets it.
    checks: Vec<Vec<Check>>,
}

impl Expectations {
    /// Compiles and merges the entries of a test.
    ///
    /// # Errors
    /// What Vector would refuse: conditions that do not compile or that no event can meet, counts that
    /// contradict each other, an output that is to be silent and to be extracted from.
    pub fn of(test: &Test) -> Result<Self, String> {
        if test.outputs.is_empty() && test.no_outputs_from.is_empty() {
            return Err("it has neither `outputs` nor `no_outputs_from`".into());
        }
        let mut outputs: BTreeMap<Vec<String>, Expected> = BTreeMap::new();
        for output in &test.outputs {
            let from = output.extract_from.0.clone();
            if let Some(name) = from.iter().find(|name| test.no_outputs_from.contains(name)) {
                return Err(format!(
                    "`{name}` stands in `extract_from` and in `no_outputs_from`"
                ));
            }
            outputs.entry(from).or_default().add(output)?;
        }
        for (from, expected) in &outputs {
            if expected.events == Some(0) && expected.checks.iter().any(|check| !check.is_empty()) {
                return Err(format!(
                    "`{}` is to give no event, so its conditions prove nothing",
                    from.join("`, `")
                ));
            }
        }
        Ok(Self {
            outputs,
            silent: test.no_outputs_from.clone(),
        })
    }

    /// What is wrong with what came, one text each.
    pub fn failures(&mut self, arrived: &Arrived) -> Vec<String> {
        let mut failures = Vec::new();
        for (from, expected) in &mut self.outputs {
            let events: Vec<&Event> = from
                .iter()
                .filter_map(|name| arrived.get(name))
                .flatten()
                .collect();
            failures.extend(expected.failures(&from.join("`, `"), &events));
        }
        for name in &self.silent {
            if let Some(events) = arrived.get(name).filter(|events| !events.is_empty()) {
                failures.push(format!(
                    "`{name}` should let nothing through, and {} came\n{}",
                    count(events.len()),
                    payloads(&events.iter().collect::<Vec<_>>())
                ));
            }
        }
        failures
    }
}

impl Expected {
    fn add(&mut self, output: &Output) -> Result<(), String> {
        if let (Some(one), Some(other)) = (self.events, output.expected_event_count)
            && one != other
        {
            return Err(format!(
                "`{}` is to give {} and {}",
                output.extract_from.0.join("`, `"),
                count(one),
                count(other)
            ));
        }
        self.events = self.events.or(output.expected_event_count);
        let checks = output.conditions.iter().enumerate();
        let checks = checks.map(|(number, condition)| {
            Check::compile(condition, &Tables::default())
                .map_err(|reason| format!("condition {number}: {reason}"))
        });
        self.checks.push(checks.collect::<Result<_, _>>()?);
        Ok(())
    }

    fn failures(&mut self, from: &str, events: &[&Event]) -> Vec<String> {
        let mut failures = Vec::new();
        if let Some(expected) = self.events
            && events.len() != expected
        {
            failures.push(format!(
                "{} should come from `{from}`, and {} came",
                count(expected),
                count(events.len())
            ));
        }
        if events.is_empty() {
            if self.events != Some(0) && failures.is_empty() {
                failures.push(format!("no event came from `{from}`"));
            }
            return failures;
        }
        for (number, checks) in self.checks.iter_mut().enumerate() {
            for (place, check) in checks.iter_mut().enumerate() {
                let reasons: Vec<String> = events
                    .iter()
                    .map_while(|event| check.holds(event).err())
                    .collect();
                if let (true, Some(reason)) = (reasons.len() == events.len(), reasons.first()) {
                    failures.push(format!(
                        "check {number} of `{from}`, condition {place}: {reason}"
                    ));
                }
            }
        }
        if !failures.is_empty() {
            failures.push(format!("what came from `{from}`:\n{}", payloads(events)));
        }
        failures
    }
}

fn count(events: usize) -> String {
    match events {
        1 => "1 event".into(),
        n => format!("{n} events"),
    }
}

fn payloads(events: &[&Event]) -> String {
    events
        .iter()
        .map(|event| format!("  {}", json(&event.value)))
        .collect::<Vec<_>>()
        .join("\n")
}

fn json(value: &Value) -> String {
    serde_json::to_string(value).unwrap_or_else(|error| format!("not JSON: {error}"))
}
