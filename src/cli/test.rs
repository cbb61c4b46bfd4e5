//! `test`: the unit tests of Vector configurations, without Vector.

use std::{io::IsTerminal, path::PathBuf};

use clap::Args;

use super::Failure;
use crate::ecs::{
    tables::Tables,
    unit_test::{Suite, Verdict},
    vector_config::VectorConfig,
};

#[derive(Args)]
pub struct Test {
    /// Vector configurations with `tests:`; several are one configuration, as for `vector test`
    #[arg(required = true)]
    files: Vec<PathBuf>,

    /// Run only tests whose name contains this text
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
}

pub fn run(args: &Test) -> Result<(), Failure> {
    let mut config = VectorConfig::read(&args.files).map_err(Failure::usage)?;
    if let Some(only) = &args.only {
        config.tests.retain(|test| test.name.contains(only));
        if config.tests.is_empty() {
            return Err(Failure::usage(format!(
                "--only {only}: no test has that in its name"
            )));
        }
    }
    let tables = Tables::load(&config.enrichment_tables).map_err(Failure::usage)?;
    let mut suite = Suite::new(config, tables);
    if suite.is_empty() {
        return super::print("No tests found.\n");
    }
    let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let all = suite.len();
    let tests = if all == 1 { "test" } else { "tests" };
    super::print(&format!("Running {all} {tests}\n"))?;
    let mut failed = Vec::new();
    for verdict in suite.run() {
        for warning in &verdict.warnings {
            eprintln!("{warning}");
        }
        let word = match (verdict.failures.is_empty(), colour) {
            (true, false) => "passed",
            (false, false) => "FAILED",
            (true, true) => "\u{1b}[32mpassed\u{1b}[0m",
            (false, true) => "\u{1b}[31mFAILED\u{1b}[0m",
        };
        super::print(&format!("test {} ... {word}\n", verdict.name))?;
        if !verdict.failures.is_empty() {
            failed.push(verdict);
        }
    }
    report(all, &failed)
}

fn report(all: usize, failed: &[Verdict]) -> Result<(), Failure> {
    if !failed.is_empty() {
        super::print("\nfailures:\n")?;
    }
    for verdict in failed {
        super::print(&format!("\ntest {}:\n", verdict.name))?;
        for failure in &verdict.failures {
            super::print(&format!("\n{}\n", indented(failure)))?;
        }
    }
    super::print(&format!(
        "\n{} passed, {} failed\n",
        all - failed.len(),
        failed.len()
    ))?;
    match failed.len() {
        0 => Ok(()),
        n => Err(Failure::failed(format!("{n} of {all} tests failed"))),
    }
}

fn indented(text: &str) -> String {
    text.lines()
        .map(|line| format!("  {line}"))
        .collect::<Vec<_>>()
        .join("\n")
}
