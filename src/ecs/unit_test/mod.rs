//! Runs the `tests:` of Vector configurations without Vector: the same files, the same verdicts.
//!
//! What a test inserts, runs through and checks follows Vector 0.57 (src/config/unit_test). Each
//! transform is compiled once for all tests.

mod assert_eq;
mod condition;
mod input;
mod transform;

use std::collections::{BTreeMap, BTreeSet};

use vrl::value::Value;

use self::{condition::Check, transform::Runner};
use super::{
    Event,
    tables::Tables,
    vector_config::{OneOrMany, Output, Test, VectorConfig},
};

/// The events at each output.
type Arrived = BTreeMap<String, Vec<Event>>;

/// What came of one test.
#[derive(Debug, PartialEq, Eq)]
pub struct Verdict {
    pub name: String,
    /// What is wrong, one text each; none when the test passed.
    pub failures: Vec<String>,
}

/// The tests of a configuration, ready to run.
pub struct Suite {
    config: VectorConfig,
    runners: BTreeMap<String, Result<Runner, String>>,
    tables: Tables,
    warnings: Vec<String>,
}

impl Suite {
    /// The tests of `config`, whose tables have been loaded.
    #[must_use]
    pub fn new(config: VectorConfig, tables: Tables) -> Self {
        Self {
            config,
            runners: BTreeMap::new(),
            tables,
            warnings: Vec::new(),
        }
    }

    /// Their number.
    #[must_use]
    pub fn len(&self) -> usize {
        self.config.tests.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What the compiler warned of since the last call: once for each transform.
    pub fn warnings(&mut self) -> Vec<String> {
        std::mem::take(&mut self.warnings)
    }

    /// Runs the test at this place and says what came of it.
    pub fn run(&mut self, number: usize) -> Verdict {
        let test = self.config.tests[number].clone();
        let mut failures = Vec::new();
        match self.outputs(&test) {
            Ok((arrived, ended)) => {
                failures = check(&test, &arrived);
                if !failures.is_empty() {
                    failures.extend(ended);
                }
            }
            Err(reason) => failures.push(reason),
        }
        Verdict {
            name: test.name,
            failures,
        }
    }

    /// What arrives at each of the test's outputs, and which programs ended early.
    fn outputs(&mut self, test: &Test) -> Result<(Arrived, Vec<String>), String> {
        let asked: BTreeSet<&str> = test
            .outputs
            .iter()
            .flat_map(|output| &output.extract_from.0)
            .chain(&test.no_outputs_from)
            .map(String::as_str)
            .collect();
        if asked.is_empty() {
            return Err("it has neither `outputs` nor `no_outputs_from`".into());
        }
        for output in &asked {
            if !transform::outputs(&self.config.transforms).any(|there| there == *output) {
                return Err(format!("there is no output `{output}` to extract from"));
            }
        }
        if test.inputs().next().is_none() {
            return Err("it has no `inputs`".into());
        }
        let needed = self.leading_to(&asked);
        let mut waiting = Vec::new();
        for input in test.inputs() {
            if !self.config.transforms.contains_key(&input.insert_at) {
                return Err(format!(
                    "there is no transform `{}` to insert at",
                    input.insert_at
                ));
            }
            if !needed.contains(&input.insert_at) {
                return Err(format!(
                    "nothing leads from `{}` to what is extracted",
                    input.insert_at
                ));
            }
            waiting.push((input.insert_at.clone(), input::event(input, &self.tables)?));
        }
        let mut arrived = Arrived::new();
        let mut ended = Vec::new();
        waiting.reverse();
        while let Some((at, event)) = waiting.pop() {
            let left = self.runner(&at)?.run(&at, event);
            ended.extend(left.ended);
            for (output, event) in left.events {
                for next in self.consumers(&output) {
                    if needed.contains(&next) {
                        waiting.push((next, event.clone()));
                    }
                }
                if asked.contains(output.as_str()) {
                    arrived.entry(output).or_default().push(event);
                }
            }
        }
        Ok((arrived, ended))
    }

    /// The transform, compiled at its first use. Why it does not compile is told in full once.
    fn runner(&mut self, name: &str) -> Result<&mut Runner, String> {
        if !self.runners.contains_key(name) {
            let runner = Runner::new(&self.config.transforms[name].kind, &self.tables);
            if let Ok(Some(warnings)) = runner.as_ref().map(Runner::warnings) {
                self.warnings
                    .push(format!("transform `{name}`: {warnings}"));
            }
            let in_full = runner.as_ref().err().cloned();
            let runner = runner.map_err(|_| format!("transform `{name}` failed as told above"));
            self.runners.insert(name.into(), runner);
            if let Some(reason) = in_full {
                return Err(format!("transform `{name}`: {reason}"));
            }
        }
        match self.runners.get_mut(name) {
            Some(Ok(runner)) => Ok(runner),
            Some(Err(reason)) => Err(reason.clone()),
            None => Err(format!("there is no transform `{name}`")),
        }
    }

    /// The transforms that take from this output.
    fn consumers(&self, output: &str) -> Vec<String> {
        self.config
            .transforms
            .iter()
            .filter(|(name, transform)| {
                transform
                    .inputs
                    .0
                    .iter()
                    .any(|input| takes(input, output) && name.as_str() != output)
            })
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// The transforms from which one of these outputs can be reached: no others are compiled.
    fn leading_to(&self, outputs: &BTreeSet<&str>) -> BTreeSet<String> {
        let mut needed: BTreeSet<String> = outputs
            .iter()
            .map(|output| owner(output, &self.config))
            .collect();
        loop {
            let before: BTreeSet<String> = transform::outputs(&self.config.transforms)
                .filter(|output| {
                    self.consumers(output)
                        .iter()
                        .any(|next| needed.contains(next))
                })
                .map(|output| owner(&output, &self.config))
                .collect();
            if before.is_subset(&needed) {
                return needed;
            }
            needed.extend(before);
        }
    }
}

/// The transform that an output belongs to: `route.audits` is one of `route`.
fn owner(output: &str, config: &VectorConfig) -> String {
    match output.rsplit_once('.') {
        Some((transform, _)) if !config.transforms.contains_key(output) => transform.into(),
        _ => output.into(),
    }
}

/// Whether an entry of `inputs:`, a name or a pattern, means this output.
fn takes(input: &str, output: &str) -> bool {
    input == output || glob::Pattern::new(input).is_ok_and(|pattern| pattern.matches(output))
}

/// Outputs that extract from the same places are checked as one; a condition holds when any of the
/// events meets it.
fn check(test: &Test, arrived: &Arrived) -> Vec<String> {
    let mut failures = Vec::new();
    let mut numbers: BTreeMap<&[String], usize> = BTreeMap::new();
    for output in &test.outputs {
        let number = numbers.entry(&output.extract_from.0).or_default();
        failures.extend(check_output(
            output,
            *number,
            &events(&output.extract_from, arrived),
        ));
        *number += 1;
    }
    for name in &test.no_outputs_from {
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

fn events<'a>(from: &OneOrMany, arrived: &'a Arrived) -> Vec<&'a Event> {
    from.0
        .iter()
        .filter_map(|name| arrived.get(name))
        .flatten()
        .collect()
}

fn check_output(output: &Output, number: usize, events: &[&Event]) -> Vec<String> {
    let from = output.extract_from.0.join("`, `");
    if let Some(expected) = output.expected_event_count {
        if events.len() != expected {
            return vec![format!(
                "{} should come from `{from}`, and {} came",
                count(expected),
                count(events.len())
            )];
        }
        if expected == 0 {
            return Vec::new();
        }
    }
    if events.is_empty() {
        return vec![format!("no event came from `{from}`")];
    }
    let mut failures = Vec::new();
    for (place, condition) in output.conditions.iter().enumerate() {
        let failed = match Check::compile(condition) {
            Err(reason) => Some(reason),
            Ok(mut check) => {
                let mut reasons: Vec<String> = events
                    .iter()
                    .map_while(|event| check.holds(event).err())
                    .collect();
                (reasons.len() == events.len()).then(|| reasons.swap_remove(0))
            }
        };
        if let Some(reason) = failed {
            failures.push(format!(
                "check {number} of `{from}`, condition {place}: {reason}"
            ));
        }
    }
    if !failures.is_empty() {
        failures.push(format!("what came from `{from}`:\n{}", payloads(events)));
    }
    failures
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

#[cfg(test)]
mod tests;
