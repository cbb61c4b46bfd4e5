//! A condition, as tests, filters and routes state it: VRL that says true or false.

use vrl::{
    compiler::{
        CompileConfig, Program, TargetValue, TypeState,
        runtime::{Runtime, Terminate},
    },
    value::Value,
};

use super::{
    super::{
        Event, Source,
        joined::Joined,
        program::utc,
        tables::Tables,
        vector_config::{Condition, TypedCondition},
    },
    assert_eq::AssertEq,
};

/// A condition, compiled.
pub enum Check {
    Vrl {
        program: Box<Program>,
        joined: Joined,
    },
    Always,
}

impl Check {
    /// Compiles it; it may only read the event. Those of transforms see the configuration's tables,
    /// those of tests see none.
    ///
    /// # Errors
    /// The compiler's text, or that only Vector knows such a condition.
    pub fn compile(condition: &Condition, tables: &Tables) -> Result<Self, String> {
        let text = match condition {
            Condition::Source(source) | Condition::Typed(TypedCondition::Vrl { source }) => source,
            Condition::Typed(TypedCondition::IsLog) => return Ok(Self::Always),
            Condition::Typed(TypedCondition::Foreign) => {
                return Err("only Vector knows this type of condition; run `vector test`".into());
            }
        };
        let joined = Joined::new(&[Source {
            name: "the condition".into(),
            text: text.clone(),
        }]);
        let mut functions: Vec<Box<dyn vrl::compiler::Function>> = vec![Box::new(AssertEq)];
        functions.extend(tables.functions());
        functions.extend(vrl::stdlib::all());
        let mut config = CompileConfig::default();
        config.set_read_only();
        let state = TypeState::default();
        let compiled = vrl::compiler::compile_with_state(text, &functions, &state, config)
            .map_err(|list| format!("it does not compile\n{}", joined.told(&list)))?;
        if !compiled.program.final_type_info().result.is_boolean() {
            return Err("a condition says true or false; this one ends in another value".into());
        }
        Ok(Self::Vrl {
            program: Box::new(compiled.program),
            joined,
        })
    }

    /// Whether the event meets it.
    ///
    /// # Errors
    /// Why not.
    pub fn holds(&mut self, event: &Event) -> Result<(), String> {
        let Self::Vrl { program, joined } = self else {
            return Ok(());
        };
        let mut event = TargetValue::from(event.clone());
        match Runtime::default().resolve(&mut event, program, &utc()) {
            Ok(Value::Boolean(true)) => Ok(()),
            Ok(Value::Boolean(false)) => Err("it says false".into()),
            Ok(other) => Err(format!("it says {other}")),
            Err(Terminate::Error(error) | Terminate::Abort(error)) => {
                Err(joined.located(&error.to_string()))
            }
        }
    }
}
