//! `map`: NDJSON of Graph records or source events in, ECS documents out.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, BufWriter, Write},
    path::PathBuf,
};

use clap::Args;

use super::Failure;
use crate::ecs::{Mapper, Source};

#[derive(Args)]
pub struct Map {
    /// VRL file to map with instead of the bundled base; repeat it for several, joined in order
    #[arg(long = "program", value_name = "FILE")]
    programs: Vec<PathBuf>,

    /// NDJSON to read: Graph records or events of the source, one a line [default: standard input]
    file: Option<PathBuf>,
}

pub fn run(args: &Map) -> Result<(), Failure> {
    let sources = args
        .programs
        .iter()
        .map(|path| Source::read(path))
        .collect::<Result<Vec<_>, _>>()
        .map_err(Failure::usage)?;
    let mut mapper = Mapper::new(&sources).map_err(Failure::usage)?;
    if let Some(warnings) = mapper.warnings() {
        eprintln!("{warnings}");
    }
    let input: Box<dyn BufRead> = match &args.file {
        Some(path) => Box::new(BufReader::new(File::open(path).map_err(|error| {
            Failure::usage(format!("cannot read {}: {error}", path.display()))
        })?)),
        None => Box::new(io::stdin().lock()),
    };
    let mut output = BufWriter::new(io::stdout().lock());
    for line in input.split(b'\n') {
        let line = line.map_err(|error| Failure::failed(format!("reading stopped: {error}")))?;
        let line = String::from_utf8_lossy(&line);
        let line = line.trim_end_matches('\r');
        if line.trim().is_empty() {
            continue;
        }
        for document in mapper.map(line) {
            writeln!(output, "{document}")?;
        }
    }
    output.flush()?;
    if mapper.pipeline_errors > 0 {
        eprintln!(
            "documents of kind pipeline_error: {}",
            mapper.pipeline_errors
        );
    }
    Ok(())
}
