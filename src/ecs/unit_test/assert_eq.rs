//! VRL's `assert_eq` for conditions, with a message that shows where two values differ.

use similar::TextDiff;
use vrl::prelude::*;

#[derive(Clone, Copy, Debug)]
pub struct AssertEq;

impl Function for AssertEq {
    fn identifier(&self) -> &'static str {
        "assert_eq"
    }

    fn usage(&self) -> &'static str {
        "Fails with a diff unless both values are the same."
    }

    fn category(&self) -> &'static str {
        "Debug"
    }

    fn return_kind(&self) -> u16 {
        kind::BOOLEAN
    }

    fn examples(&self) -> &'static [Example] {
        &[]
    }

    fn parameters(&self) -> &'static [Parameter] {
        const PARAMETERS: &[Parameter] = &[
            Parameter::required("left", kind::ANY, "what is there"),
            Parameter::required("right", kind::ANY, "what should be there"),
            Parameter::optional("message", kind::BYTES, "what to say when they differ"),
        ];
        PARAMETERS
    }

    fn compile(
        &self,
        _: &TypeState,
        _: &mut FunctionCompileContext,
        arguments: ArgumentList,
    ) -> Compiled {
        Ok(AssertEqFn {
            left: arguments.required("left"),
            right: arguments.required("right"),
            message: arguments.optional("message"),
        }
        .as_expr())
    }
}

#[derive(Clone, Debug)]
struct AssertEqFn {
    left: Box<dyn Expression>,
    right: Box<dyn Expression>,
    message: Option<Box<dyn Expression>>,
}

impl FunctionExpression for AssertEqFn {
    fn resolve(&self, ctx: &mut Context) -> Resolved {
        let left = self.left.resolve(ctx)?;
        let right = self.right.resolve(ctx)?;
        if left == right {
            return Ok(true.into());
        }
        let message = match &self.message {
            Some(message) => format!("{}\n", message.resolve(ctx)?.try_bytes_utf8_lossy()?),
            None => String::new(),
        };
        Err(format!("{message}{}", difference(&left, &right)).into())
    }

    fn type_def(&self, _: &TypeState) -> TypeDef {
        TypeDef::boolean().fallible()
    }
}

/// What is there and what should be: two short values one above the other, long ones line by line.
fn difference(there: &Value, wanted: &Value) -> String {
    let (there, wanted) = (pretty(there), pretty(wanted));
    if !there.contains('\n') && !wanted.contains('\n') {
        return format!("\n  wanted  {wanted}\n  got     {there}");
    }
    let mut text = String::from("\n  - wanted, + got");
    let diff = TextDiff::from_lines(&wanted, &there);
    for change in diff.iter_all_changes() {
        let line = change.value().trim_end_matches('\n');
        text.push_str(&format!("\n  {} {line}", change.tag()));
    }
    text
}

fn pretty(value: &Value) -> String {
    match value {
        Value::Object(_) | Value::Array(_) => {
            serde_json::to_string_pretty(value).unwrap_or_else(|_| value.to_string())
        }
        // As VRL writes it: a timestamp is not a text.
        scalar => scalar.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use vrl::value;

    use super::*;

    #[test]
    fn short_values_stand_one_above_the_other() {
        assert_eq!(
            difference(&Value::from("a"), &Value::from(1)),
            "\n  wanted  1\n  got     \"a\""
        );
    }

    #[test]
    fn long_values_are_compared_line_by_line() {
        let there = value!({"a": 1, "b": 2});
        let wanted = value!({"a": 1, "b": 3});
        assert_eq!(
            difference(&there, &wanted),
            "\n  - wanted, + got\n    {\n      \"a\": 1,\n  -   \"b\": 3\n  +   \"b\": 2\n    }"
        );
    }
}
