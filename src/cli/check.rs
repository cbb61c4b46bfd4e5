//! `check`: the doctor, with its findings as they come, or as JSON.

use std::{
    io::{self, IsTerminal},
    path::PathBuf,
};

use clap::{Args, ValueEnum};
use serde_json::json;
use uuid::Uuid;

use super::{Failure, block_on};
use crate::{
    check::{self, Finding, Verdict},
    config,
};

/// Columns of a line at most.
const WIDTH: usize = 80;
/// Columns of a finding's mark and place.
const INDENT: usize = 7;

#[derive(Args)]
pub struct Check {
    /// Configuration
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Vector's own configuration, to follow acknowledgements through it; repeat it for several
    #[arg(long = "vector-config", value_name = "FILE")]
    vector_configs: Vec<PathBuf>,
    /// Form of the answer
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
}

pub fn run(args: &Check) -> Result<(), Failure> {
    let mut findings = Vec::new();
    let mut printer = Printer {
        colour: io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none(),
        tenant: None,
    };
    let mut broken = None;
    let mut found = |finding: Finding| {
        if args.format == Format::Text && broken.is_none() {
            broken = super::print(&printer.text(&finding)).err();
        }
        findings.push(finding);
    };
    match config::load(&args.config) {
        Ok(config) => block_on(async {
            check::run(&config, &args.vector_configs, &mut found).await;
            Ok(())
        })?,
        Err(faults) => check::faults(&faults).into_iter().for_each(&mut found),
    }
    if let Some(failure) = broken {
        return Err(failure);
    }
    let count = |verdict| {
        findings
            .iter()
            .filter(|finding| finding.verdict == verdict)
            .count()
    };
    let (failures, warnings) = (count(Verdict::Fail), count(Verdict::Warn));
    match args.format {
        Format::Text => super::print(&format!(
            "\n{} failed, {} to look at, {} well\n",
            failures,
            warnings,
            count(Verdict::Ok)
        ))?,
        Format::Json => {
            let all = json!({"failures": failures, "warnings": warnings, "findings": findings});
            let mut text = serde_json::to_string_pretty(&all).map_err(Failure::failed)?;
            text.push('\n');
            super::print(&text)?;
        }
    }
    match failures {
        0 => Ok(()),
        _ => Err(Failure::Told),
    }
}

struct Printer {
    colour: bool,
    /// The tenant whose heading was printed last.
    tenant: Option<Uuid>,
}

impl Printer {
    /// A finding in as many lines as it takes, below its tenant's heading.
    fn text(&mut self, finding: &Finding) -> String {
        let mut text = String::new();
        if finding.tenant_id != self.tenant {
            self.tenant = finding.tenant_id;
            let heading = match finding.tenant_id {
                Some(id) => format!("\ntenant {id}\n"),
                None => "\n".into(),
            };
            text.push_str(&heading);
        }
        let (mark, colour) = match finding.verdict {
            Verdict::Ok => ("ok", 32),
            Verdict::Warn => ("warn", 33),
            Verdict::Fail => ("FAIL", 31),
            Verdict::Skipped => ("-", 90),
        };
        let place = finding.stream.map_or(finding.area, |stream| stream.name());
        let words = format!("{place}: {}", finding.text);
        let lines = textwrap::wrap(
            &words,
            textwrap::Options::new(WIDTH - INDENT)
                .break_words(false)
                .word_splitter(textwrap::WordSplitter::NoHyphenation),
        );
        let mark = match self.colour {
            true => format!("\u{1b}[{colour}m{mark:<4}\u{1b}[0m"),
            false => format!("{mark:<4}"),
        };
        let between = format!("\n{}", " ".repeat(INDENT));
        text.push_str(&format!(" {mark}  {}\n", lines.join(&between)));
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_finding_is_wrapped_under_its_mark() {
        let mut printer = Printer {
            colour: false,
            tenant: None,
        };
        let finding = Finding {
            area: "token",
            tenant_id: Some(Uuid::nil()),
            stream: None,
            verdict: Verdict::Fail,
            text: "the client secret has expired (AADSTS7000222): make a new one for the app that \
                   reads the logs"
                .into(),
        };
        assert_eq!(
            printer.text(&finding),
            "\ntenant 00000000-0000-0000-0000-000000000000\n \
             FAIL  token: the client secret has expired (AADSTS7000222): make a new one for\n       \
             the app that reads the logs\n"
        );
    }
}
