//! `get_enrichment_table_record` and `find_enrichment_table_records`, with the parameters and errors
//! that Vector 0.57 documents for them.

use std::collections::BTreeMap;

use vrl::{compiler::expression::Expr, prelude::*, value};

use super::{Lookup, Tables};

/// One of the two functions, over these tables.
#[derive(Clone, Debug)]
pub struct Enrichment {
    pub find: Find,
    pub tables: Tables,
}

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

impl Function for Enrichment {
    fn identifier(&self) -> &'static str {
        match self.find {
            Find::One => "get_enrichment_table_record",
            Find::All => "find_enrichment_table_records",
        }
    }

    fn usage(&self) -> &'static str {
        match self.find {
            Find::One => "Finds the one row of a table that holds all that is asked for.",
            Find::All => "Finds all rows of a table that hold what is asked for.",
        }
    }

    fn category(&self) -> &'static str {
        "Enrichment"
    }

    fn return_kind(&self) -> u16 {
        match self.find {
            Find::One => kind::OBJECT,
            Find::All => kind::ARRAY,
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
        _: &mut FunctionCompileContext,
        arguments: ArgumentList,
    ) -> Compiled {
        Ok(Call::compile(self, state, &arguments)?.as_expr())
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
        enrichment: &Enrichment,
        state: &TypeState,
        arguments: &ArgumentList,
    ) -> Result<Self, Box<dyn DiagnosticMessage>> {
        let Enrichment { find, tables } = enrichment.clone();
        let table = arguments.required_literal("table", state)?;
        let table = table.as_str().unwrap_or_default().into_owned();
        let condition = arguments.required_object("condition")?;
        let columns: Vec<KeyString> = condition.keys().cloned().collect();
        tables
            .check(&table, &columns)
            .map_err(|reason| Box::new(ExpressionError::from(reason)) as Box<_>)?;
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
        let mut rows = self.tables.find(&self.table, &lookup)?;
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
