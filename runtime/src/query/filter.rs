//! Conditions and values as clients write them: `column=op.value`, after `PostgREST`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::HttpProblem;
use crate::definition::{Column, ColumnType};
use crate::store::sqlite::reader::Comparison;
use crate::value::Value;

/// The operators, as in `column=eq.value`. `is` takes `null` or `not_null`.
pub const OPERATORS: [&str; 7] = ["eq", "neq", "gt", "gte", "lt", "lte", "is"];

/// Reads `op.value` for `column`.
pub(super) fn comparison(column: &Column, text: &str) -> Result<Comparison, HttpProblem> {
    let (operator, operand) = text.split_once('.').unwrap_or((text, ""));
    if operator == "is" {
        return null_test(column, operand);
    }
    let make = match operator {
        "eq" => Comparison::Equal,
        "neq" => Comparison::NotEqual,
        "gt" => Comparison::Greater,
        "gte" => Comparison::GreaterOrEqual,
        "lt" => Comparison::Less,
        "lte" => Comparison::LessOrEqual,
        _ => return Err(unknown_operator(column, text)),
    };
    if column.ty == ColumnType::Json {
        return Err(HttpProblem::bad_request(format!(
            "column {} holds JSON, which has many spellings of one value and cannot be compared",
            column.name
        ))
        .hint("only is.null and is.not_null work on JSON columns; give the projection a column of its own"));
    }
    Ok(make(value(column, operand)?))
}

fn null_test(column: &Column, operand: &str) -> Result<Comparison, HttpProblem> {
    match operand {
        "null" => Ok(Comparison::IsNull),
        "not_null" => Ok(Comparison::IsNotNull),
        other => Err(HttpProblem::bad_request(format!(
            "{}=is.{other}: `is` takes null or not_null",
            column.name
        ))
        .hint("to compare with a value write eq.VALUE")),
    }
}

fn unknown_operator(column: &Column, text: &str) -> HttpProblem {
    let name = &column.name;
    HttpProblem::bad_request(format!("{name}={text} does not begin with an operator")).hint(
        format!(
            "write {name}=OPERATOR.VALUE with one of {}; for equality {name}=eq.{text}",
            OPERATORS.join(", ")
        ),
    )
}

/// Reads one value of the column's type: `true`/`false`, numbers in decimal, text as it is, blobs in base64.
pub(super) fn value(column: &Column, text: &str) -> Result<Value, HttpProblem> {
    let value = match column.ty {
        ColumnType::Boolean => text.parse().ok().map(Value::Boolean),
        ColumnType::Integer => text.parse().ok().map(Value::Integer),
        ColumnType::Real => finite(text).map(Value::Real),
        ColumnType::Text | ColumnType::Json => Some(Value::Text(text.to_owned())),
        ColumnType::Blob => STANDARD.decode(text).ok().map(Value::Blob),
    };
    value.ok_or_else(|| {
        HttpProblem::bad_request(format!(
            "{text:?} is no value of column {}, which is {}",
            column.name, column.ty
        ))
        .hint(spelling(column.ty))
    })
}

fn finite(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

fn spelling(ty: ColumnType) -> &'static str {
    match ty {
        ColumnType::Boolean => "write true or false",
        ColumnType::Integer => "write a decimal number from -2^63 to 2^63-1",
        ColumnType::Real => "write a decimal number such as 12.5 or 1e-3",
        ColumnType::Text | ColumnType::Json => "write the text, percent-encoded",
        ColumnType::Blob => "write the bytes in base64 with padding, and + as %2B",
    }
}
