//! Who takes from whom among a configuration's transforms, and which of them take part in a test.
//! Decided as Vector 0.57 does (src/config/unit_test/mod.rs, src/config/graph.rs).

use std::collections::{BTreeMap, BTreeSet};

use super::{super::vector_config::Transform, transform::outputs_of};

/// The transforms of a configuration.
pub struct Topology<'a>(pub &'a BTreeMap<String, Transform>);

impl Topology<'_> {
    /// Whether a transform has this output.
    pub fn has(&self, output: &str) -> bool {
        self.0
            .iter()
            .any(|(name, transform)| outputs_of(name, &transform.kind).contains(&output.to_owned()))
    }

    /// The transforms that take from this output.
    pub fn consumers(&self, output: &str) -> Vec<String> {
        self.0
            .iter()
            .filter(|(name, transform)| {
                let mut inputs = transform.inputs.0.iter();
                inputs.any(|input| takes(input, output)) && name.as_str() != output
            })
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// The transforms that an event inserted at this one enters: the one, and each whose pattern fits
    /// the name of the source that Vector makes for the test.
    pub fn entered_at(&self, insert_at: &str) -> Vec<String> {
        let mut entered = vec![insert_at.to_owned()];
        entered.extend(self.consumers(&source_of(insert_at)));
        entered
    }

    /// The transforms on the ways from where a test inserts to what it extracts.
    ///
    /// # Errors
    /// What makes the test one that Vector would refuse: a cycle, an input that would come twice or from
    /// which nothing asked for is reached, an output that is reached from no input.
    pub fn between(
        &self,
        inserts: &[String],
        asked: &BTreeSet<&str>,
    ) -> Result<BTreeSet<String>, String> {
        self.refuse_cycles()?;
        let twice = |at: &&String| self.consumers(&source_of(at)).contains(at);
        if let Some(at) = inserts.iter().find(twice) {
            return Err(format!(
                "a pattern in the inputs of `{at}` takes the source of the test too, so each event would \
                 come twice"
            ));
        }
        let owners: BTreeMap<&str, String> = asked
            .iter()
            .map(|output| (*output, self.owner(output)))
            .collect();
        let leading = closure(owners.values().cloned(), |name| self.before(name));
        if let Some(at) = inserts.iter().find(|at| !leading.contains(*at)) {
            return Err(format!("nothing leads from `{at}` to what is extracted"));
        }
        let entered = inserts.iter().flat_map(|at| self.entered_at(at));
        let reached = closure(entered, |name| self.after(name));
        if let Some((output, _)) = owners.iter().find(|(_, owner)| !reached.contains(*owner)) {
            return Err(format!(
                "nothing leads from the test's inputs to `{output}`"
            ));
        }
        Ok(reached.intersection(&leading).cloned().collect())
    }

    /// The transform that an output belongs to: `route.audits` is one of `route`.
    fn owner(&self, output: &str) -> String {
        match output.rsplit_once('.') {
            Some((transform, _)) if !self.0.contains_key(output) => transform.into(),
            _ => output.into(),
        }
    }

    fn after(&self, name: &str) -> Vec<String> {
        let Some(transform) = self.0.get(name) else {
            return Vec::new();
        };
        outputs_of(name, &transform.kind)
            .iter()
            .flat_map(|output| self.consumers(output))
            .collect()
    }

    fn before(&self, name: &str) -> Vec<String> {
        self.0
            .keys()
            .filter(|other| self.after(other).iter().any(|next| next == name))
            .cloned()
            .collect()
    }

    fn refuse_cycles(&self) -> Result<(), String> {
        for name in self.0.keys() {
            let ahead = closure(self.after(name), |name| self.after(name));
            if ahead.contains(name) {
                return Err(format!("the inputs of `{name}` come back to it: a cycle"));
            }
        }
        Ok(())
    }
}

/// The name of the source that Vector makes for events inserted at this transform. (It ends in a random
/// UUID.)
fn source_of(insert_at: &str) -> String {
    format!("{insert_at}-source-00000000-0000-4000-8000-000000000000")
}

/// All that is reached from these by steps, themselves included.
fn closure(
    from: impl IntoIterator<Item = String>,
    step: impl Fn(&str) -> Vec<String>,
) -> BTreeSet<String> {
    let mut reached = BTreeSet::new();
    let mut waiting: Vec<String> = from.into_iter().collect();
    while let Some(name) = waiting.pop() {
        if !reached.contains(&name) {
            waiting.extend(step(&name));
            reached.insert(name);
        }
    }
    reached
}

/// Whether an entry of `inputs:`, a name or a pattern, means this output.
fn takes(input: &str, output: &str) -> bool {
    input == output || glob::Pattern::new(input).is_ok_and(|pattern| pattern.matches(output))
}
