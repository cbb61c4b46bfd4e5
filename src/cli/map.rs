//! `map`: NDJSON of Graph records or source events in, ECS documents out.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, BufWriter, Write},
    path::{Path, PathBuf},
};

use clap::Args;

use super::Failure;
use crate::ecs::{Mapper, Program, Source, bundle, tables::Tables, vector_config::VectorConfig};

#[derive(Args)]
pub struct Map {
    /// VRL file to map with instead of the bundled base; repeat it for several, joined in order
    #[arg(long = "program", value_name = "FILE")]
    programs: Vec<PathBuf>,

    /// VRL file of your own that stands before the mapping, in the same program; repeat it for several
    #[arg(long, value_name = "FILE")]
    before: Vec<PathBuf>,

    /// What follows the mapping: sekoia, elastic, geoip-city, geoip-asn, directory, tor,
    /// threat-list, or a VRL file of your own; repeat it for several, in order
    #[arg(long, value_name = "NAME|FILE")]
    with: Vec<String>,

    /// Vector configuration whose `enrichment_tables` the programs read
    #[arg(long, value_name = "FILE")]
    tables: Option<PathBuf>,

    /// Take the input as records of Azure Event Hubs: what Vector's kafka source hands on
    #[arg(long)]
    event_hubs: bool,

    /// NDJSON to read: Graph records or events of the source, one a line [default: standard input]
    file: Option<PathBuf>,
}

pub fn run(args: &Map) -> Result<(), Failure> {
    let tables = tables(args.tables.as_deref())?;
    let mut mapper = Mapper::new(&program(args)?, &tables).map_err(Failure::usage)?;
    if args.event_hubs {
        let normaliser = bundle::sources(bundle::EVENT_HUBS);
        mapper.before(Program::compile(&normaliser, &tables).map_err(Failure::usage)?);
    }
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

/// The files that make the program: the given ones or the bundled base, and what follows.
fn program(args: &Map) -> Result<Vec<Source>, Failure> {
    let mut sources = read(&args.before)?;
    if args.programs.is_empty() {
        sources.extend(bundle::base());
    } else {
        sources.extend(read(&args.programs)?);
    }
    for name in &args.with {
        match bundle::addition(name) {
            Some(files) => sources.extend(bundle::sources(files)),
            None => sources.push(Source::read(Path::new(name)).map_err(|error| {
                let names: Vec<&str> = bundle::ADDITIONS.iter().map(|(name, _)| *name).collect();
                Failure::usage(format!(
                    "--with {name}: {error}; it is a VRL file or one of {}",
                    names.join(", ")
                ))
            })?),
        }
    }
    Ok(sources)
}

fn read(paths: &[PathBuf]) -> Result<Vec<Source>, Failure> {
    paths
        .iter()
        .map(|path| Source::read(path).map_err(Failure::usage))
        .collect()
}

fn tables(config: Option<&Path>) -> Result<Tables, Failure> {
    let Some(path) = config else {
        return Ok(Tables::default());
    };
    let config = VectorConfig::read(&[path.to_path_buf()]).map_err(Failure::usage)?;
    Tables::load(&config.enrichment_tables).map_err(Failure::usage)
}
