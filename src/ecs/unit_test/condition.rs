//! A condition, as tests, filters and routes state it: VRL that says true or false.

use vrl::{
    compiler::{
        CompileConfig, Program, TargetValue, TimeZone, TypeState,
        runtime::{Runtime, Terminate},
    },
    diagnostic::Formatter,
    value::Value,
};

use super::{
    super::{
        Event,
        vector_config::{Condition, TypedCondition},
    },
    assert_eq::AssertEq,
};

/// A condition, compiled.
pub enum Check {
    Vrl(Box<Program>),
    Always,
}

impl Check {
    /// Compiles it; it may only read the event.
    ///
    /// # Errors
    /// The compiler's text, or that only Vector knows such a condition.
    pub fn compile(condition: &Condition) -> Result<Self, String> {
        let source = match condition {
            Condition::Source(source) | Condition::Typed(TypedCondition::Vrl { source }) => source,
            Condition::Typed(TypedCondition::IsLog) => return Ok(Self::Always),
            Condition::Typed(TypedCondition::Foreign) => {
                return Err("only Vector knows this type of condition; run `vector test`".into());
            }
        };
        let mut functions: Vec<Box<dyn vrl::compiler::Function>> = vec![Box::new(AssertEq)];
        functions.extend(vrl::stdlib::all());
        let mut config = CompileConfig::default();
        config.set_read_only();
        let compiled =
            vrl::compiler::compile_with_state(source, &functions, &TypeState::default(), config)
                .map_err(|list| format!("it does not compile\n{}", Formatter::new(source, list)))?;
        if !compiled.program.final_type_info().result.is_boolean() {
            return Err("a condition says true or false; this one ends in another value".into());
        }
        Ok(Self::Vrl(Box::new(compiled.program)))
    }

    /// Whether the event meets it.
    ///
    /// # Errors
    /// Why not.
    pub fn holds(&mut self, event: &Event) -> Result<(), String> {
        let Self::Vrl(program) = self else {
            return Ok(());
        };
        let mut event = TargetValue::from(event.clone());
        let zone = TimeZone::parse("UTC").unwrap_or_default();
        match Runtime::default().resolve(&mut event, program, &zone) {
            Ok(Value::Boolean(true)) => Ok(()),
            Ok(Value::Boolean(false)) => Err("it says false".into()),
            Ok(other) => Err(format!("it says {other}")),
            Err(Terminate::Error(error) | Terminate::Abort(error)) => Err(error.to_string()),
        }
    }
}
