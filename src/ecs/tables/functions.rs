//! `get_enrichment_table_record` and `find_enrichment_table_records`, with the parameters and errors
//! that Vector 0.57 documents for them.

use std::collections::BTreeMap;

use vrl::{compiler::expression::Expr, prelude::*, value};

use super::{Lookup, Tables};

/// Which of the two functions.
#[derive(Clone, Copy, Debug)]
pub enum Find {
    /// `get_enrichment_table_record`: the one row, or an error.
    One,
    /// `find_enrichment_table_records`: every row.
    All,
}

const PARAMETERS: &[Parameter] = &[
    Parameter::required("table", kind::BYTES, "name of the table"),
    Parameter::required("condition", kind::OBJECT, "what the row must hold"),
    Parameter::optional("select", kind::ARRAY, "columns to keep"),
    Parameter::optional(
        "case_sensitive",
        kind::BOOLEAN,
        "true unless said otherwise",
    ),
    Parameter::optional("wildcard", kind::BYTES, "a cell that stands for any value"),
];

impl Function for Find {
    fn identifier(&self) -> &'static str {
        match self {
            Self::One => "get_enrichment_table_record",
            Self::All => "find_enrichment_table_records",
        }
    }

    fn usage(&self) -> &'static str {
        match self {
            Self::One => "Finds the one row of a table that holds all that is asked for.",
            Self::All => "Finds all rows of a table that hold what is asked for.",
        }
    }

    fn category(&self) -> &'static str {
        "Enrichment"
    }

    fn return_kind(&self) -> u16 {
        match self {
            Self::One => kind::OBJECT,
            Self::All => kind::ARRAY,
        }
    }

    fn examples(&self) -> &'static [Example] {
        &[]
    }

    fn parameters(&self) -> &'static [Parameter] {
        PARAMETERS
    }

    fn compile(
        &self,
        state: &TypeState,
        ctx: &mut FunctionCompileContext,
        arguments: ArgumentList,
    ) -> Compiled {
        Ok(Call::compile(*self, state, ctx, &arguments)?.as_expr())
    }
}

/// A call in a program.
#[derive(Clone, Debug)]
struct Call {
    find: Find,
    tables: Tables,
    table: String,
    condition: BTreeMap<KeyString, Expr>,
    select: Option<Box<dyn Expression>>,
    case_sensitive: bool,
    wildcard: Option<Box<dyn Expression>>,
}

impl Call {
    fn compile(
        find: Find,
        state: &TypeState,
        ctx: &mut FunctionCompileContext,
        arguments: &ArgumentList,
    ) -> Result<Self, Box<dyn DiagnosticMessage>> {
        let tables = ctx
            .get_external_context::<Tables>()
            .cloned()
            .unwrap_or_default();
        let names: Vec<Value> = tables.names().map(Value::from).collect();
        let table = arguments.required_enum("table", &names, state)?;
        let table = table.as_str().unwrap_or_default().into_owned();
        let condition = arguments.required_object("condition")?;
        let columns: Vec<KeyString> = condition.keys().cloned().collect();
        if let Some(Err(reason)) = tables.get(&table).map(|table| table.check(&columns)) {
            return Err(Box::new(ExpressionError::from(reason)));
        }
        let case_sensitive = arguments
            .optional_literal("case_sensitive", state)?
            .and_then(|value| value.as_boolean())
            .unwrap_or(true);
        Ok(Self {
            find,
            tables,
            table,
            condition,
            select: arguments.optional("select"),
            case_sensitive,
            wildcard: arguments.optional("wildcard"),
        })
    }
}

impl FunctionExpression for Call {
    fn resolve(&self, ctx: &mut Context) -> Resolved {
        let mut condition = ObjectMap::new();
        for (column, expression) in &self.condition {
            condition.insert(column.clone(), expression.resolve(ctx)?);
        }
        let select = self.select.as_ref().map(|e| e.resolve(ctx)).transpose()?;
        let select = select.map(VrlValueConvert::try_array).transpose()?;
        let wildcard = self.wildcard.as_ref().map(|e| e.resolve(ctx)).transpose()?;
        let lookup = Lookup {
            condition: &condition,
            select: select.as_deref(),
            case_sensitive: self.case_sensitive,
            wildcard: wildcard.as_ref(),
        };
        let table = self
            .tables
            .get(&self.table)
            .ok_or_else(|| format!("there is no table {}", self.table))?;
        let mut rows = table.find(&lookup)?;
        match (self.find, rows.len()) {
            (Find::All, _) => Ok(Value::Array(rows.into_iter().map(Value::Object).collect())),
            (Find::One, 1) => Ok(rows.pop().map_or(value!(null), Value::Object)),
            (Find::One, 0) => Err("No rows found".into()),
            (Find::One, _) => Err("More than one row found".into()),
        }
    }

    fn type_def(&self, _: &TypeState) -> TypeDef {
        match self.find {
            Find::One => TypeDef::object(Collection::any()).fallible(),
            Find::All => {
                TypeDef::array(Collection::from_unknown(Kind::object(Collection::any()))).fallible()
            }
        }
    }
}
