//! Several VRL files as the one text that is compiled, and the way back: which file, which line.

use std::fmt::Write;

use vrl::diagnostic::{Diagnostic, DiagnosticList, Formatter, Label, Span};

use super::Source;

/// Sources in their order with a line break between them, as Vector joins `remap.files` (vector v0.57.0,
/// src/transforms/remap.rs).
pub struct Joined {
    sources: Vec<Source>,
}

impl Joined {
    pub fn new(sources: &[Source]) -> Self {
        Self {
            sources: sources.to_vec(),
        }
    }

    /// The text to compile.
    pub fn text(&self) -> String {
        let texts: Vec<&str> = self.sources.iter().map(|s| s.text.as_str()).collect();
        texts.join("\n")
    }

    /// The source that this place of the joined text is in, and where it begins.
    fn source_at(&self, offset: usize) -> Option<(&Source, usize)> {
        let mut start = 0;
        for source in &self.sources {
            let end = start + source.text.len();
            if offset <= end {
                return Some((source, start));
            }
            start = end + 1;
        }
        None
    }

    /// File and line of a place in the joined text.
    pub fn place(&self, offset: usize) -> Option<String> {
        let (source, start) = self.source_at(offset)?;
        let before = source.text.bytes().take(offset - start);
        let line = 1 + before.filter(|byte| *byte == b'\n').count();
        Some(format!("{}, line {line}", source.name))
    }

    /// What the compiler has to say, each piece with its own file and the lines of that.
    pub fn told(&self, list: &DiagnosticList) -> String {
        let mut told = String::new();
        for diagnostic in list.iter() {
            let span = diagnostic.labels.first().map(|label| label.span);
            let Some((span, (source, start))) =
                span.and_then(|span| Some((span, self.source_at(span.start())?)))
            else {
                let _ = write!(told, "{}", Formatter::new("", diagnostic.clone()));
                continue;
            };
            if let Some(place) = self.place(span.start()) {
                let _ = write!(told, "\n{place}:");
            }
            let within = within(diagnostic.clone(), start, source.text.len());
            let _ = write!(told, "{}", Formatter::new(&source.text, within));
            let name = source.text.get(span.start() - start..span.end() - start);
            if let Some(name) = name.filter(|name| OF_VECTOR.contains(name)) {
                let _ = write!(told, "\n`{name}` is a function that only Vector has");
            }
        }
        told
    }

    /// A message of a running program: where it names places of the joined text, `at (12:34)`, file and
    /// line instead.
    pub fn located(&self, message: &str) -> String {
        let mut located = String::new();
        let mut rest = message;
        while let Some((before, after)) = rest.split_once(" at (") {
            located.push_str(before);
            let place = after.split_once(')').and_then(|(span, after)| {
                let (start, _) = span.split_once(':')?;
                Some((self.place(start.parse().ok()?)?, after))
            });
            match place {
                Some((place, after)) => {
                    let _ = write!(located, " in {place}");
                    rest = after;
                }
                None => {
                    located.push_str(" at (");
                    rest = after;
                }
            }
        }
        located + rest
    }
}

/// Functions that Vector adds to VRL's own (vector v0.57.0, lib/vector-vrl), and those of VRL that need a
/// network.
const OF_VECTOR: [&str; 11] = [
    "get_secret",
    "set_secret",
    "remove_secret",
    "set_semantic_meaning",
    "parse_dnstap",
    "get_vector_metric",
    "find_vector_metrics",
    "aggregate_vector_metrics",
    "dns_lookup",
    "reverse_dns",
    "http_request",
];

/// The diagnostic with its places counted from `start`; what lies outside the file is left out.
fn within(mut diagnostic: Diagnostic, start: usize, length: usize) -> Diagnostic {
    diagnostic.labels = diagnostic
        .labels
        .into_iter()
        .filter(|label| label.span.start() >= start && label.span.start() <= start + length)
        .map(|label| Label {
            span: Span::new(
                label.span.start() - start,
                (label.span.end() - start).min(length),
            ),
            ..label
        })
        .collect();
    diagnostic
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined() -> Joined {
        let source = |name: &str, text: &str| Source {
            name: name.into(),
            text: text.into(),
        };
        Joined::new(&[
            source("first.vrl", ".a = 1\n"),
            source("second.vrl", ".b = 2\n.c = 3\n"),
        ])
    }

    #[test]
    fn a_place_of_the_joined_text_is_one_of_a_file() {
        let joined = joined();
        assert_eq!(joined.text(), ".a = 1\n\n.b = 2\n.c = 3\n");
        assert_eq!(joined.place(0).unwrap(), "first.vrl, line 1");
        assert_eq!(joined.place(8).unwrap(), "second.vrl, line 1");
        assert_eq!(joined.place(15).unwrap(), "second.vrl, line 2");
        assert_eq!(joined.place(99), None);
    }

    #[test]
    fn a_running_program_s_message_names_file_and_line() {
        assert_eq!(
            joined().located("function call error for \"push\" at (15:20): expected array"),
            "function call error for \"push\" in second.vrl, line 2: expected array"
        );
        assert_eq!(
            joined().located("error at (0:4): error at (8:10): expected array"),
            "error in first.vrl, line 1: error in second.vrl, line 1: expected array"
        );
        for other in ["aborted", "at (x:y)", "look at (1"] {
            assert_eq!(joined().located(other), other);
        }
    }

    #[test]
    fn each_diagnostic_is_told_with_its_own_file() {
        let diagnostic =
            |start, end| Diagnostic::error(1, "wrong").with_primary("here", (start, end));
        let told = joined().told(&vec![diagnostic(0, 2), diagnostic(15, 17)].into());
        assert!(told.contains("first.vrl, line 1:"), "{told}");
        assert!(told.contains("second.vrl, line 2:"), "{told}");
        assert!(told.contains("2 │ .c = 3"), "{told}");
    }
}
