//! Runs the `tests:` of Vector configurations without Vector: the same files, the same verdicts.
//!
//! What a test inserts, runs through and checks follows Vector 0.57 (src/config/unit_test). Each
//! transform is compiled once for all tests. Where Vector refuses a configuration for one test that it
//! cannot build, that test alone fails here.

mod assert_eq;
mod condition;
mod expectations;
mod input;
mod topology;
mod transform;

use std::collections::{BTreeMap, BTreeSet};

use self::{expectations::Expectations, topology::Topology, transform::Runner};
use super::{
    Event,
    tables::Tables,
    vector_config::{Test, VectorConfig},
};

/// The events at each output.
type Arrived = BTreeMap<String, Vec<Event>>;

/// What came of one test.
#[derive(Debug, PartialEq, Eq)]
pub struct Verdict {
    pub name: String,
    /// What is wrong, one text each; none when the test passed.
    pub failures: Vec<String>,
    /// What the compiler warned of: once for each transform, with the first test that needs it.
    pub warnings: Vec<String>,
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

    /// Runs every test in turn.
    pub fn run(&mut self) -> impl Iterator<Item = Verdict> {
        (0..self.len()).map(|number| {
            let test = self.config.tests[number].clone();
            Verdict {
                failures: self.failures(&test).unwrap_or_else(|reason| vec![reason]),
                warnings: std::mem::take(&mut self.warnings),
                name: test.name,
            }
        })
    }

    /// What is wrong with a test's outcome; an error for a test that Vector would not build.
    fn failures(&mut self, test: &Test) -> Result<Vec<String>, String> {
        let mut expectations = Expectations::of(test)?;
        let asked = asked(test);
        let relevant = self.relevant(test, &asked)?;
        for name in &relevant {
            self.runner(name)?;
        }
        let (arrived, ended) = self.arrived(test, &asked, &relevant)?;
        let mut failures = expectations.failures(&arrived);
        if !failures.is_empty() {
            failures.extend(ended);
        }
        Ok(failures)
    }

    /// The transforms that take part.
    fn relevant(&self, test: &Test, asked: &BTreeSet<&str>) -> Result<BTreeSet<String>, String> {
        let topology = Topology(&self.config.transforms);
        if let Some(output) = asked.iter().find(|output| !topology.has(output)) {
            return Err(format!("there is no output `{output}` to extract from"));
        }
        let inserts: Vec<String> = test.inputs().map(|input| input.insert_at.clone()).collect();
        if inserts.is_empty() {
            return Err("it has no `inputs`".into());
        }
        if let Some(at) = inserts
            .iter()
            .find(|at| !self.config.transforms.contains_key(*at))
        {
            return Err(format!("there is no transform `{at}` to insert at"));
        }
        topology.between(&inserts, asked)
    }

    /// What arrives at each of the outputs that the test asks for, and which programs ended early.
    fn arrived(
        &mut self,
        test: &Test,
        asked: &BTreeSet<&str>,
        relevant: &BTreeSet<String>,
    ) -> Result<(Arrived, Vec<String>), String> {
        let mut waiting = Vec::new();
        for input in test.inputs() {
            let event = input::event(input)?;
            for at in Topology(&self.config.transforms).entered_at(&input.insert_at) {
                waiting.push((at, event.clone()));
            }
        }
        waiting.reverse();
        let mut arrived = Arrived::new();
        let mut ended = Vec::new();
        while let Some((at, event)) = waiting.pop() {
            if !relevant.contains(&at) {
                continue;
            }
            let left = self.runner(&at)?.run(&at, event);
            ended.extend(left.ended);
            for (output, event) in left.events {
                for next in Topology(&self.config.transforms).consumers(&output) {
                    waiting.push((next, event.clone()));
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
}

/// The outputs that a test names.
fn asked(test: &Test) -> BTreeSet<&str> {
    test.outputs
        .iter()
        .flat_map(|output| &output.extract_from.0)
        .chain(&test.no_outputs_from)
        .map(String::as_str)
        .collect()
}

#[cfg(test)]
mod tests;
