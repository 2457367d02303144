//! Every rule a definition must keep, checked before anything relies on it.

use std::collections::BTreeSet;

use super::{ColumnType, Definition, Table};
use crate::subject::{SubjectError, SubjectFilter};

/// Longest name of a projection, table or column, in characters: short enough for file names and
/// `PostgreSQL`'s limit, should a read model ever move there.
const NAME_MAX: usize = 63;

/// Every event's subject is compared with each filter.
const SUBJECTS_MAX: usize = 64;

/// Each table takes prepared statements and memory of every connection to the read model.
const TABLES_MAX: usize = 64;

/// Well below `SQLite`'s limits for the columns of a table, 2,000, and the parameters of a statement, 32,766.
const COLUMNS_MAX: usize = 200;

/// Each index is written with every row.
const INDEXES_MAX: usize = 16;

/// Why a definition is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DefinitionError {
    /// A name outside the allowed form.
    #[error("{what} {name:?} is not {form}, of at most {NAME_MAX} characters")]
    Name {
        /// "projection name", "table name" or "column name".
        what: &'static str,
        /// The name given.
        name: String,
        /// The form it must have.
        form: &'static str,
    },
    /// A table name that the store cannot make.
    #[error("table name {0:?} begins with \"sqlite_\", which SQLite keeps for itself")]
    Reserved(String),
    /// Versions count up from 1.
    #[error("version is 0; versions count up from 1")]
    VersionZero,
    /// No subject filters.
    #[error("there are no subject filters; a projection reads at least one subject")]
    NoSubjects,
    /// A malformed subject filter.
    #[error(transparent)]
    Subject(#[from] SubjectError),
    /// No tables.
    #[error("there are no tables; a projection writes at least one")]
    NoTables,
    /// More of something than a definition may have.
    #[error("{of} has {count} {what}; at most {max} are allowed")]
    TooMany {
        /// "the projection", or the table.
        of: String,
        /// "subject filters", "tables", "columns" or "indexes".
        what: &'static str,
        /// How many there are.
        count: usize,
        /// How many there may be.
        max: usize,
    },
    /// Two tables, or two columns of one table, share a name.
    #[error("{what} {name:?} appears twice")]
    Twice {
        /// "table" or "column".
        what: &'static str,
        /// The name.
        name: String,
    },
    /// A table without a key.
    #[error("table {0:?} has no key column")]
    NoKey(String),
    /// A key or index that names a column that is not there, or one column twice.
    #[error(
        "a key or index of table {0:?} names a column that does not exist, or one column twice"
    )]
    ColumnOutOfRange(String),
    /// A nullable key column, or a real or JSON column in a key or an index.
    #[error("column {table}.{column} cannot be part of {of}: {reason}")]
    Unsuitable {
        /// The table.
        table: String,
        /// The column.
        column: String,
        /// "the key" or "an index".
        of: &'static str,
        /// Why.
        reason: &'static str,
    },
}

impl Definition {
    /// Checks every rule.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check(&self) -> Result<(), DefinitionError> {
        name("projection name", &self.name, '-')?;
        if self.version == 0 {
            return Err(DefinitionError::VersionZero);
        }
        if self.subjects.is_empty() {
            return Err(DefinitionError::NoSubjects);
        }
        let of = "the projection";
        at_most(of, "subject filters", self.subjects.len(), SUBJECTS_MAX)?;
        for subject in &self.subjects {
            subject.parse::<SubjectFilter>()?;
        }
        if self.tables.is_empty() {
            return Err(DefinitionError::NoTables);
        }
        at_most(of, "tables", self.tables.len(), TABLES_MAX)?;
        unique("table", self.tables.iter().map(|table| &table.name))?;
        self.tables.iter().try_for_each(check_table)
    }

    /// The subject filters, parsed.
    ///
    /// # Errors
    /// If one is malformed; never for a checked definition.
    pub fn filters(&self) -> Result<Vec<SubjectFilter>, SubjectError> {
        self.subjects
            .iter()
            .map(|subject| subject.parse())
            .collect()
    }
}

fn check_table(table: &Table) -> Result<(), DefinitionError> {
    name("table name", &table.name, '_')?;
    if table.name.starts_with("sqlite_") {
        return Err(DefinitionError::Reserved(table.name.clone()));
    }
    let of = format!("table {:?}", table.name);
    at_most(&of, "columns", table.columns.len(), COLUMNS_MAX)?;
    at_most(&of, "indexes", table.indexes.len(), INDEXES_MAX)?;
    for column in &table.columns {
        name("column name", &column.name, '_')?;
    }
    unique("column", table.columns.iter().map(|column| &column.name))?;
    if table.key.is_empty() {
        return Err(DefinitionError::NoKey(table.name.clone()));
    }
    positions(table, &table.key, "the key")?;
    for index in &table.indexes {
        positions(table, index, "an index")?;
    }
    Ok(())
}

fn positions(table: &Table, positions: &[usize], of: &'static str) -> Result<(), DefinitionError> {
    let distinct: BTreeSet<_> = positions.iter().collect();
    let exist = positions.iter().all(|&i| i < table.columns.len());
    if positions.is_empty() || distinct.len() != positions.len() || !exist {
        return Err(DefinitionError::ColumnOutOfRange(table.name.clone()));
    }
    for &i in positions {
        let column = &table.columns[i];
        let reason = match column.ty {
            ColumnType::Real => "equality of reals is a trap; use an integer or text",
            ColumnType::Json => "JSON has many spellings of one value; use a column of its own",
            _ if column.nullable && of == "the key" => "it is nullable",
            _ => continue,
        };
        return Err(DefinitionError::Unsuitable {
            table: table.name.clone(),
            column: column.name.clone(),
            of,
            reason,
        });
    }
    Ok(())
}

fn name(what: &'static str, name: &str, joiner: char) -> Result<(), DefinitionError> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == joiner;
    let starts = name.starts_with(|c: char| c.is_ascii_lowercase());
    if starts && name.len() <= NAME_MAX && name.chars().all(allowed) {
        return Ok(());
    }
    Err(DefinitionError::Name {
        what,
        name: name.chars().take(2 * NAME_MAX).collect(),
        form: if joiner == '-' {
            "a lower-case letter followed by lower-case letters, digits and `-`"
        } else {
            "a lower-case letter followed by lower-case letters, digits and `_`"
        },
    })
}

fn at_most(of: &str, what: &'static str, count: usize, max: usize) -> Result<(), DefinitionError> {
    if count <= max {
        return Ok(());
    }
    let of = of.to_owned();
    Err(DefinitionError::TooMany {
        of,
        what,
        count,
        max,
    })
}

fn unique<'a>(
    what: &'static str,
    names: impl Iterator<Item = &'a String>,
) -> Result<(), DefinitionError> {
    let mut seen = BTreeSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(DefinitionError::Twice {
                what,
                name: name.clone(),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::{Column, EventKey};
    use super::*;

    fn definition() -> Definition {
        let column = |name: &str, ty, nullable| Column {
            name: name.into(),
            ty,
            nullable,
        };
        Definition {
            name: "order-summary".into(),
            version: 1,
            subjects: vec!["orders.>".into()],
            key: EventKey::SubjectToken(1),
            tables: vec![Table {
                name: "orders".into(),
                columns: vec![
                    column("order_id", ColumnType::Text, false),
                    column("total", ColumnType::Real, false),
                    column("note", ColumnType::Text, true),
                ],
                key: vec![0],
                indexes: vec![vec![2]],
            }],
        }
    }

    /// Changes a good definition and says what the check answers.
    fn after(change: impl FnOnce(&mut Definition)) -> String {
        let mut definition = definition();
        change(&mut definition);
        definition
            .check()
            .map_or_else(|e| e.to_string(), |()| "ok".into())
    }

    #[test]
    fn a_good_definition_passes() {
        assert_eq!(after(|_| {}), "ok");
    }

    #[test]
    fn each_broken_rule_is_named() {
        assert!(after(|d| d.name = "Order Summary".into()).contains("projection name"));
        assert!(after(|d| d.name = "a".repeat(64)).contains("63"));
        assert!(after(|d| d.version = 0).contains("version is 0"));
        assert!(after(|d| d.subjects.clear()).contains("no subject filters"));
        assert!(after(|d| d.subjects = vec!["a..b".into()]).contains("empty token"));
        assert!(after(|d| d.tables.clear()).contains("no tables"));
        assert!(after(|d| d.tables.push(d.tables[0].clone())).contains("\"orders\" appears twice"));
        assert!(
            after(|d| d.tables[0].columns[1].name = "order_id".into()).contains("appears twice")
        );
        assert!(after(|d| d.tables[0].name = "sqlite_orders".into()).contains("SQLite keeps"));
        assert!(after(|d| d.tables[0].key.clear()).contains("no key column"));
        assert!(after(|d| d.tables[0].key = vec![9]).contains("does not exist"));
        assert!(after(|d| d.tables[0].key = vec![1]).contains("equality of reals"));
        assert!(after(|d| d.tables[0].key = vec![2]).contains("nullable"));
        assert!(after(|d| d.tables[0].indexes = vec![vec![1]]).contains("an index"));
    }

    fn numbered(names: &str, count: usize) -> impl Iterator<Item = String> {
        (0..count).map(move |n| format!("{names}{n}"))
    }

    fn columns(count: usize) -> Vec<Column> {
        let column = |name| Column {
            name,
            ty: ColumnType::Text,
            nullable: false,
        };
        numbered("c", count).map(column).collect()
    }

    fn tables(count: usize) -> Vec<Table> {
        let table = |name| Table {
            name,
            ..definition().tables[0].clone()
        };
        numbered("t", count).map(table).collect()
    }

    #[test]
    fn everything_that_is_counted_has_a_limit_that_is_said() {
        assert_eq!(after(|d| d.subjects = numbered("s", 64).collect()), "ok");
        assert_eq!(
            after(|d| d.subjects = numbered("s", 65).collect()),
            "the projection has 65 subject filters; at most 64 are allowed"
        );
        assert_eq!(after(|d| d.tables = tables(64)), "ok");
        assert_eq!(
            after(|d| d.tables = tables(65)),
            "the projection has 65 tables; at most 64 are allowed"
        );
        assert_eq!(after(|d| d.tables[0].columns = columns(200)), "ok");
        assert_eq!(
            after(|d| d.tables[0].columns = columns(201)),
            "table \"orders\" has 201 columns; at most 200 are allowed"
        );
        assert_eq!(after(|d| d.tables[0].indexes = vec![vec![0]; 16]), "ok");
        assert_eq!(
            after(|d| d.tables[0].indexes = vec![vec![0]; 17]),
            "table \"orders\" has 17 indexes; at most 16 are allowed"
        );
    }
}
