//! What a projection can do with its tables, one scenario per subject `scenario.<name>`.

use std::collections::HashMap;

use foldline_sdk::testing::{event, given, json};
use foldline_sdk::{
    Definition, Event, Projection, ReadModel, Result, Table, Value, bail, ensure, projection,
};
use serde::{Deserialize, Serialize};

/// One column of every kind.
#[derive(Table, Clone)]
#[table(name = "everything")]
struct Everything {
    #[key]
    id: i64,
    flag: bool,
    tiny: u8,
    small: i32,
    large: u32,
    half: f32,
    real: f64,
    text: String,
    bytes: Vec<u8>,
    maybe: Option<String>,
    #[column(name = "document")]
    json: serde_json::Value,
    #[json]
    tags: Vec<Tag>,
    #[json]
    counts: HashMap<String, u32>,
    #[json]
    extra: Option<Tag>,
}

#[derive(Serialize, Deserialize, Clone)]
struct Tag {
    name: String,
}

#[derive(Table, Clone)]
#[table(index(product_id, shipped))]
struct OrderLine {
    #[key]
    order_id: String,
    #[key]
    line: u32,
    #[index]
    product_id: String,
    shipped: bool,
    #[index]
    note: Option<String>,
}

#[derive(Table)]
struct Counter {
    #[key]
    name: String,
    count: i64,
    average: f64,
}

#[projection(
    name = "scenarios",
    version = 7,
    subjects = ["scenario.*"],
    key = header("Key"),
    tables = [Everything, OrderLine, Counter],
)]
fn scenarios(event: &Event, rows: &mut ReadModel) -> Result<()> {
    match event.subject_token(1) {
        Some("everything") => put_and_get_everything(rows),
        Some("lines") => lines().into_iter().try_for_each(|line| rows.put(line)),
        Some("keys") => look_up_by_all_spellings(rows),
        Some("find") => find(rows),
        Some("update") => update(rows),
        Some("take_turns") => change_in_turns(rows),
        Some("change_key") => rows
            .update("a", |counter: &mut Counter| counter.name = "b".into())
            .map(drop),
        Some("not_a_number") => rows.put(Counter {
            name: "a".into(),
            count: 0,
            average: f64::NAN,
        }),
        Some("many") => {
            (0..1_001).try_for_each(|number| rows.put(line("o-1", number, "p-1", false)))
        }
        Some("find_many") => rows.put(Counter {
            name: "found".into(),
            count: rows.find(OrderLine::by_product_id("p-1"), u32::MAX)?.len() as i64,
            average: 0.0,
        }),
        Some("delete") => {
            rows.delete::<OrderLine>(("o-1", 1))?;
            rows.delete::<OrderLine>(("o-9", 9))
        }
        scenario => bail!("no scenario {scenario:?}"),
    }
}

fn everything() -> Everything {
    Everything {
        id: i64::MIN,
        flag: true,
        tiny: 255,
        small: -5,
        large: u32::MAX,
        half: 0.1,
        real: 0.1,
        text: "ö".into(),
        bytes: vec![0, 255],
        maybe: None,
        json: json!({ "b": [1, null], "a": 0.1 }),
        tags: vec![Tag { name: "x".into() }],
        counts: (0..20).map(|count| (count.to_string(), count)).collect(),
        extra: None,
    }
}

fn put_and_get_everything(rows: &mut ReadModel) -> Result<()> {
    rows.put(everything())?;
    let Some(found) = rows.get::<Everything>(i64::MIN)? else {
        bail!("put and not there")
    };
    ensure!(
        found.half.to_bits() == 0.1f32.to_bits()
            && found.counts["17"] == 17
            && found.tags[0].name == "x"
    );
    rows.put(Everything {
        id: 2,
        maybe: Some(String::new()),
        extra: Some(Tag { name: "y".into() }),
        ..found
    })
}

fn line(order_id: &str, line: u32, product_id: &str, shipped: bool) -> OrderLine {
    let note = shipped.then(|| "gift".to_owned());
    OrderLine {
        order_id: order_id.into(),
        line,
        product_id: product_id.into(),
        shipped,
        note,
    }
}

fn lines() -> Vec<OrderLine> {
    vec![
        line("o-2", 1, "p-1", true),
        line("o-1", 10, "p-1", false),
        line("o-1", 2, "p-1", true),
        line("o-1", 1, "p-2", true),
    ]
}

fn look_up_by_all_spellings(rows: &mut ReadModel) -> Result<()> {
    let (order_id, number) = ("o-1".to_owned(), 10u32);
    let shared = std::borrow::Cow::Borrowed("o-1");
    let found = [
        rows.get::<OrderLine>(("o-1", 10))?,
        rows.get::<OrderLine>((&order_id, &number))?,
        rows.get::<OrderLine>((&shared, number))?,
        rows.get::<OrderLine>((order_id, number))?,
    ];
    ensure!(found.iter().flatten().count() == 4);
    ensure!(
        rows.get::<OrderLine>(("o-1", 3))?.is_none()
            && rows.get::<OrderLine>(("o-10", 0))?.is_none()
    );
    Ok(())
}

fn find(rows: &mut ReadModel) -> Result<()> {
    let keys = |lines: Vec<OrderLine>| {
        lines
            .into_iter()
            .map(|line| (line.order_id, line.line))
            .collect::<Vec<_>>()
    };
    let key = |order_id: &str, line| (order_id.to_owned(), line);
    let of_product = keys(rows.find(OrderLine::by_product_id("p-1"), 100)?);
    ensure!(
        of_product == [key("o-1", 2), key("o-1", 10), key("o-2", 1)],
        "not in the order of the key: {of_product:?}"
    );
    let limited = keys(rows.find(OrderLine::by_product_id("p-1"), 2)?);
    ensure!(
        limited == [key("o-1", 2), key("o-1", 10)],
        "not the first two: {limited:?}"
    );
    let shipped = keys(rows.find(OrderLine::by_product_id_and_shipped("p-1", true), 100)?);
    ensure!(
        shipped == [key("o-1", 2), key("o-2", 1)],
        "wrong rows: {shipped:?}"
    );
    let gifts = rows.find(OrderLine::by_note("gift"), 100)?;
    ensure!(gifts.len() == 3 && rows.find(OrderLine::by_product_id("p-9"), 100)?.is_empty());
    Ok(())
}

fn update(rows: &mut ReadModel) -> Result<()> {
    let known = rows.update("a", |counter: &mut Counter| counter.count += 1)?;
    ensure!(!known, "there is no row yet");
    for _ in 0..2 {
        let new = || Counter {
            name: "a".into(),
            count: 10,
            average: 0.5,
        };
        rows.upsert("a", new, |counter| counter.count += 1)?;
    }
    let known = rows.update("a", |counter: &mut Counter| counter.count += 1)?;
    ensure!(known);
    Ok(())
}

/// Two rows that differ in all that can be null, empty or longer.
fn two_rows() -> [Everything; 2] {
    let full = Everything {
        id: 1,
        text: "longer than the other one".into(),
        maybe: Some("there".into()),
        extra: Some(Tag { name: "y".into() }),
        ..everything()
    };
    let bare = Everything {
        id: 2,
        text: String::new(),
        bytes: Vec::new(),
        json: json!(null),
        tags: Vec::new(),
        counts: HashMap::new(),
        ..everything()
    };
    [full, bare]
}

fn change_in_turns(rows: &mut ReadModel) -> Result<()> {
    two_rows().into_iter().try_for_each(|row| rows.put(row))?;
    for id in [1, 2, 1, 2, 2, 1] {
        let known = rows.update(id, |row: &mut Everything| row.small += 1)?;
        ensure!(known, "row {id} was put");
    }
    Ok(())
}

#[test]
fn a_row_that_is_changed_has_nothing_of_the_one_that_was_changed_before() {
    let changed = two_rows().map(|row| Everything { small: -2, ..row });
    given::<scenarios>([event("scenario.take_turns")]).then(changed);
}

#[test]
fn every_kind_of_column_comes_back_as_it_was_put() {
    let other = Everything {
        id: 2,
        maybe: Some(String::new()),
        extra: Some(Tag { name: "y".into() }),
        ..everything()
    };
    given::<scenarios>([event("scenario.everything")]).then([other, everything()]);
}

#[test]
fn composite_keys_are_tuples_of_values_or_references() {
    given::<scenarios>([event("scenario.lines"), event("scenario.keys")]).then(lines());
}

#[test]
fn find_gives_rows_in_the_order_of_the_key_up_to_the_limit() {
    given::<scenarios>([event("scenario.lines"), event("scenario.find")]).then(lines());
}

#[test]
fn delete_removes_one_row_and_no_row_is_no_error() {
    let outcome = given::<scenarios>([event("scenario.lines"), event("scenario.delete")]);
    assert_eq!(outcome.rows::<OrderLine>().unwrap().len(), 3);
    outcome.then(lines().into_iter().take(3));
}

#[test]
fn update_changes_what_is_there_and_upsert_also_what_is_not() {
    let outcome = given::<scenarios>([event("scenario.update")]);
    outcome.then([Counter {
        name: "a".into(),
        count: 13,
        average: 0.5,
    }]);
}

#[test]
fn an_update_that_changes_the_key_is_rejected() {
    given::<scenarios>([event("scenario.update"), event("scenario.change_key")])
        .then_rejects("an update of table `counters` changed the row's key")
        .and([Counter {
            name: "a".into(),
            count: 13,
            average: 0.5,
        }]);
}

#[test]
fn a_real_that_is_not_finite_is_rejected() {
    given::<scenarios>([event("scenario.not_a_number")])
        .then_rejects("column `average` of table `counters` cannot hold NaN");
}

#[test]
fn a_stored_row_that_does_not_fit_names_table_and_column() {
    let misfit = |line: Value<'static>| {
        let values = vec![
            Value::Text("o".into()),
            line,
            Value::Text("p".into()),
            Value::Boolean(true),
            Value::Null,
        ];
        format!("{:#}", OrderLine::from_values(values).err().unwrap())
    };
    assert!(
        misfit(Value::Integer(-1))
            .contains("column `line` of table `order_lines` holds an integer (-1)")
    );
    assert!(misfit(Value::Null).contains("column `line` of table `order_lines` holds null"));
    let short = OrderLine::from_values(vec![Value::Null])
        .err()
        .unwrap()
        .to_string();
    assert_eq!(
        short,
        "table `order_lines` has 5 columns, but a stored row has 1 values"
    );
}

#[test]
fn a_stored_row_of_another_width_is_no_row_of_the_table_even_where_its_first_columns_fit() {
    let mut values = vec![
        Value::Text("o".into()),
        Value::Integer(1),
        Value::Text("p".into()),
        Value::Boolean(true),
    ];
    let refused = |values: &[Value<'static>]| {
        let error = OrderLine::from_values(values.to_vec()).err().unwrap();
        error.to_string()
    };
    // Only the last column is missing, and it may be null.
    assert!(refused(&values).contains("a stored row has 4 values"));
    values.extend([Value::Null, Value::Null]);
    assert!(refused(&values).contains("a stored row has 6 values"));
    assert!(refused(&[]).contains("a stored row has 0 values"));
}

#[test]
fn a_json_column_that_does_not_fit_says_why() {
    let mut values: Vec<Value<'static>> = Vec::new();
    values.extend(
        everything()
            .to_values()
            .unwrap()
            .as_ref()
            .iter()
            .cloned()
            .map(Value::into_owned),
    );
    values[11] = Value::Text("[{}]".into());
    let error = format!("{:#}", Everything::from_values(values).err().unwrap());
    assert!(
        error.contains("column `tags` of table `everything`")
            && error.contains("missing field `name`"),
        "{error}"
    );
}

#[test]
fn the_members_of_a_json_column_are_sorted_whatever_the_map() {
    // Two maps of the same members nearly never have them in the same order.
    let document = || {
        let row = everything();
        let values = row.to_values().unwrap();
        let Value::Text(document) = values.as_ref()[12].clone().into_owned() else {
            panic!("a document is text")
        };
        document
    };
    let written = document();
    assert!(written.starts_with(r#"{"0":0,"1":1,"10":10,"#), "{written}");
    assert_eq!(written, document());
}

#[test]
fn a_search_gives_no_more_rows_than_the_host() {
    given::<scenarios>([event("scenario.many"), event("scenario.find_many")]).then::<Counter>([
        Counter {
            name: "found".into(),
            count: 1_000,
            average: 0.0,
        },
    ]);
}

#[test]
fn the_definition_says_what_was_declared() {
    let Definition {
        name,
        version,
        subjects,
        key,
        tables,
    } = scenarios::DEFINITION;
    assert_eq!(
        (name, version, subjects),
        ("scenarios", 7, &["scenario.*"][..])
    );
    assert_eq!(format!("{key:?}"), "Header(\"Key\")");
    let [everything, lines, counters] = tables else {
        panic!("three tables")
    };
    assert_eq!(
        [everything.name, lines.name, counters.name],
        ["everything", "order_lines", "counters"]
    );
    assert_eq!(
        (lines.key, lines.indexes),
        (&[0, 1][..], &[&[2][..], &[4], &[2, 3]][..])
    );
    let columns = everything
        .columns
        .iter()
        .map(|column| format!("{} {:?} {}", column.name, column.ty, column.nullable));
    let expected = [
        "id Integer false",
        "flag Boolean false",
        "tiny Integer false",
        "small Integer false",
        "large Integer false",
        "half Real false",
        "real Real false",
        "text Text false",
        "bytes Blob false",
        "maybe Text true",
        "document Json false",
        "tags Json false",
        "counts Json false",
        "extra Json true",
    ];
    assert!(columns.eq(expected));
}
