//! What changed between two definitions, in words for people.

use super::{Column, Definition, EventKey, Table};

impl Definition {
    /// How this definition differs from `live`, one phrase per difference; none if they are equal.
    pub fn differences(&self, live: &Self) -> Vec<String> {
        let mut found = Vec::new();
        let mut unless_equal = |equal: bool, phrase: String| {
            if !equal {
                found.push(phrase);
            }
        };
        unless_equal(
            self.name == live.name,
            format!("name is {}, not {}", self.name, live.name),
        );
        unless_equal(
            self.version == live.version,
            format!("version is {}, not {}", self.version, live.version),
        );
        unless_equal(
            self.subjects == live.subjects,
            format!(
                "subjects are {}, not {}",
                self.subjects.join(" "),
                live.subjects.join(" ")
            ),
        );
        unless_equal(
            self.key == live.key,
            format!("event key is {}, not {}", self.key, live.key),
        );
        tables(&self.tables, &live.tables, &mut found);
        found
    }
}

impl std::fmt::Display for EventKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::SubjectToken(position) => write!(f, "subject token {position}"),
            Self::Header(name) => write!(f, "header {name}"),
        }
    }
}

fn tables(new: &[Table], live: &[Table], found: &mut Vec<String>) {
    let named = |tables: &[Table], name: &str| tables.iter().find(|t| t.name == name).cloned();
    for table in new {
        match named(live, &table.name) {
            None => found.push(format!("table {} is new", table.name)),
            Some(old) if old != *table => found.extend(of_table(table, &old)),
            Some(_) => {}
        }
    }
    let gone = live
        .iter()
        .filter(|table| named(new, &table.name).is_none());
    found.extend(gone.map(|table| format!("table {} is gone", table.name)));
    if found.is_empty() && new != live {
        found.push("the tables are in another order".to_owned());
    }
}

fn of_table(new: &Table, live: &Table) -> Vec<String> {
    let mut found = Vec::new();
    let say = |column: &Column| format!("{} ({})", column.name, kind(column));
    for column in &new.columns {
        match live.columns.iter().find(|old| old.name == column.name) {
            None => found.push(format!("column {} is new", say(column))),
            Some(old) if old != column => {
                found.push(format!("column {} was {}", say(column), kind(old)));
            }
            Some(_) => {}
        }
    }
    let gone = live
        .columns
        .iter()
        .filter(|old| new.column(&old.name).is_none());
    found.extend(gone.map(|old| format!("column {} is gone", old.name)));
    let (key, old_key) = (names(new, &new.key), names(live, &live.key));
    if key != old_key {
        found.push(format!("the key is {key}, not {old_key}"));
    }
    let (indexes, old_indexes) = (indexes(new), indexes(live));
    for index in indexes.iter().filter(|index| !old_indexes.contains(index)) {
        found.push(format!("index on {index} is new"));
    }
    for index in old_indexes.iter().filter(|index| !indexes.contains(index)) {
        found.push(format!("index on {index} is gone"));
    }
    if found.is_empty() {
        found.push("the order of the columns or of the indexes differs".to_owned());
    }
    let prefix = |phrase| format!("table {}: {phrase}", new.name);
    found.into_iter().map(prefix).collect()
}

/// Each index by its columns' names.
fn indexes(table: &Table) -> Vec<String> {
    let indexes = table.indexes.iter();
    indexes.map(|index| names(table, index)).collect()
}

fn names(table: &Table, columns: &[usize]) -> String {
    let names: Vec<_> = columns
        .iter()
        .map(|&i| table.columns[i].name.as_str())
        .collect();
    names.join(", ")
}

fn kind(column: &Column) -> String {
    let nullable = if column.nullable { ", nullable" } else { "" };
    format!("{}{nullable}", column.ty)
}

#[cfg(test)]
mod tests {
    use super::super::ColumnType;
    use super::*;

    fn definition() -> Definition {
        let column = |name: &str| Column {
            name: name.into(),
            ty: ColumnType::Text,
            nullable: false,
        };
        Definition {
            name: "order-summary".into(),
            version: 1,
            subjects: vec!["orders.>".into()],
            key: EventKey::None,
            tables: vec![Table {
                name: "orders".into(),
                columns: vec![column("order_id"), column("status")],
                key: vec![0],
                indexes: vec![],
            }],
        }
    }

    /// The differences of a definition after `change` from what it was before.
    fn after(change: impl FnOnce(&mut Definition)) -> String {
        let (live, mut new) = (definition(), definition());
        change(&mut new);
        new.differences(&live).join("; ")
    }

    #[test]
    fn equal_definitions_have_none() {
        assert_eq!(after(|_| {}), "");
    }

    #[test]
    fn every_kind_of_change_is_named() {
        assert_eq!(after(|d| d.version = 2), "version is 2, not 1");
        assert_eq!(
            after(|d| d.key = EventKey::SubjectToken(1)),
            "event key is subject token 1, not none"
        );
        assert_eq!(
            after(|d| d.subjects = vec!["a.*".into(), "b.*".into()]),
            "subjects are a.* b.*, not orders.>"
        );
        assert_eq!(
            after(|d| d.tables[0].columns[1].nullable = true),
            "table orders: column status (text, nullable) was text"
        );
        assert_eq!(
            after(|d| d.tables[0].columns[1].name = "state".into()),
            "table orders: column state (text) is new; table orders: column status is gone"
        );
        assert_eq!(
            after(|d| d.tables[0].indexes = vec![vec![1]]),
            "table orders: index on status is new"
        );
        assert_eq!(
            after(|d| d.tables[0].key = vec![1]),
            "table orders: the key is status, not order_id"
        );
        assert_eq!(
            after(|d| {
                d.tables[0].columns.swap(0, 1);
                d.tables[0].key = vec![1];
            }),
            "table orders: the order of the columns or of the indexes differs"
        );
        assert_eq!(
            after(|d| d.tables[0].name = "parcels".into()),
            "table parcels is new; table orders is gone"
        );
    }
}
