//! The state's directory: whether it is there, whose it is, and what lies in it.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use super::{Case, Finding, count};
use crate::{
    outlet::DeadLetters,
    state::{State, StateError},
};

const AREA: &str = "state";
/// Bytes that should be free for the state and the dead letters.
const ROOM: u64 = 256 << 20;

pub(super) fn check(case: &Case<'_>) -> Vec<Finding> {
    let dir = &case.config.state_dir;
    let mut findings = directory(dir);
    if case.running.is_some() {
        findings.push(Finding::ok("source", "runs, and answers"));
    } else if findings
        .iter()
        .all(|finding| finding.verdict != super::Verdict::Fail)
    {
        findings.push(file(dir));
    }
    findings.extend(dead_letters(case));
    findings
}

fn directory(dir: &Path) -> Vec<Finding> {
    let shown = dir.display();
    let metadata = match fs::metadata(dir) {
        Ok(metadata) if metadata.is_dir() => metadata,
        Ok(_) => {
            return vec![Finding::fail(
                AREA,
                format!("{shown} is no directory; name another as state_dir"),
            )];
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let whole = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
            let parent = whole.ancestors().skip(1).find(|parent| parent.exists());
            return vec![match parent.map(writable) {
                Some(Ok(())) => Finding::ok(AREA, format!("{shown} is made by the first start")),
                _ => Finding::fail(
                    AREA,
                    format!(
                        "{shown} is not there and cannot be made; make it, for the user that the \
                         source runs as"
                    ),
                ),
            }];
        }
        Err(error) => return vec![Finding::fail(AREA, format!("{shown}: {error}"))],
    };
    let mut findings = Vec::new();
    if let Err(error) = writable(dir) {
        findings.push(Finding::fail(
            AREA,
            format!("{shown} cannot be written to ({error}); is this the source's own user?"),
        ));
    }
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o002 != 0 || (mode & 0o007 != 0 && writable(dir).is_ok()) {
        findings.push(Finding::warn(
            AREA,
            format!("{shown} is open to every user ({mode:o}); chmod 700 {shown}"),
        ));
    }
    match free(dir) {
        Some(free) if free < ROOM => findings.push(Finding::warn(
            AREA,
            format!(
                "{} MiB are free for {shown}; the source ends when it is full",
                free >> 20
            ),
        )),
        _ => {}
    }
    findings
}

/// Tries it: permissions, read-only mounts and quotas are told apart by nothing else.
fn writable(dir: &Path) -> io::Result<()> {
    tempfile::Builder::new()
        .prefix(".vector-entra-id-check-")
        .tempfile_in(dir)
        .map(drop)
}

fn free(dir: &Path) -> Option<u64> {
    let stat = rustix::fs::statvfs(dir).ok()?;
    Some(stat.f_bavail * stat.f_frsize)
}

fn file(dir: &Path) -> Finding {
    match State::open_existing(dir) {
        Ok(None) => Finding::ok(AREA, "nothing was collected yet"),
        Ok(Some(_)) => Finding::ok(AREA, "the state file can be read; no source runs"),
        Err(error @ StateError::InUse { .. }) => Finding::warn(
            "source",
            format!("{error}: a process has the state and does not answer; it may be starting"),
        ),
        Err(error) => Finding::fail(AREA, error),
    }
}

fn dead_letters(case: &Case<'_>) -> Option<Finding> {
    const AREA: &str = "dead letters";
    let letters = DeadLetters::new(&case.config.state_dir, DeadLetters::LIMIT);
    let path: PathBuf = letters.path().to_owned();
    if path.is_dir() {
        let text = format!("{} is a directory; move it away", path.display());
        return Some(Finding::fail(AREA, text));
    }
    let size = fs::metadata(&path)
        .map(|metadata| metadata.len())
        .unwrap_or_default();
    if size == 0 {
        return Some(Finding::ok(AREA, "none"));
    }
    let held: u64 = case
        .config
        .tenants
        .iter()
        .flat_map(|tenant| {
            tenant
                .streams
                .iter()
                .map(|stream| letters.of(tenant.tenant_id, *stream))
        })
        .sum();
    if held == 0 {
        let text = format!(
            "{} holds lines that are no events of these tenants' streams; move it away",
            path.display()
        );
        return Some(Finding::warn(AREA, text));
    }
    let records = count(usize::try_from(held).unwrap_or(usize::MAX), "record");
    let text = format!(
        "{records} in {}: the pipeline refused them; see Vector's log, mend the cause, and read \
         them again with a file source",
        path.display()
    );
    Some(if size >= DeadLetters::LIMIT / 10 * 9 {
        Finding::fail(
            AREA,
            format!("{text}. The file is nearly full, and then its streams hold"),
        )
    } else {
        Finding::warn(AREA, text)
    })
}
