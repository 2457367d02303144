//! The commands a person types, against a running host.

use foldline_tests::guests::module;
use foldline_tests::host::{Host, foldline};
use foldline_tests::model::Model;
use foldline_tests::nats::NatsServer;
use foldline_tests::orders::Orders;
use foldline_tests::stream::Stream;
use serde_json::Value;

use crate::examples::{EXAMPLES, number};

/// A host that has applied a thousand events, and what they must give.
fn caught_up() -> (NatsServer, Host, Model) {
    let nats = NatsServer::start();
    let stream = Stream::of_orders(&nats.url());
    let history = Orders::new(1).events(1_000);
    let last = stream.publish(&history);
    let host = Host::start(&nats.url(), &EXAMPLES);
    for name in EXAMPLES {
        host.wait_applied(name, last);
        host.wait_state(name, "live");
    }
    (nats, host, Model::of(&history))
}

#[test]
fn status_shows_every_projection_as_a_table_and_as_json() {
    let (_nats, host, _) = caught_up();

    let table = host.cli(&["status"]);
    assert_eq!(table.code, 0, "{table:?}");
    for name in EXAMPLES {
        let line = table.stdout.lines().find(|line| line.contains(name));
        let line = line.unwrap_or_else(|| panic!("{name} is not shown:\n{}", table.stdout));
        assert!(line.contains("live") && line.contains("1,000"), "{line}");
    }
    let one = host.cli(&["status", "product-sales"]);
    assert!(
        one.stdout.contains("product-sales") && !one.stdout.contains("order-summary"),
        "{one:?}"
    );

    let json = host.cli(&["status", "--json"]).json();
    let names: Vec<_> = json["projections"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| &p["name"])
        .collect();
    assert_eq!(names, ["customer-totals", "order-summary", "product-sales"]);
    let one = host.cli(&["status", "order-summary", "--json"]).json();
    assert_eq!(
        (number(&one["checkpoint"]), number(&one["lag"])),
        (1_000, 0),
        "{one}"
    );
    for field in [
        "name",
        "version",
        "digest",
        "status",
        "stream",
        "checkpoint",
        "last_sequence",
        "lag",
        "generations",
        "dead_letters",
        "held_keys",
        "last_error",
    ] {
        assert!(one.get(field).is_some(), "{field} is missing: {one}");
    }
}

#[test]
fn query_prints_rows_as_a_table_and_as_json() {
    let (_nats, host, model) = caught_up();
    let (id, shipped) = model
        .orders
        .iter()
        .find(|(_, row)| row["status"] == "shipped")
        .unwrap();

    let table = host.cli(&[
        "query",
        "order-summary",
        "orders",
        &format!("order_id=eq.{id}"),
    ]);
    assert_eq!(table.code, 0, "{table:?}");
    for part in [
        "order_id",
        "tracking_number",
        id,
        shipped["tracking_number"].as_str().unwrap(),
    ] {
        assert!(
            table.stdout.contains(part),
            "{part} is not shown:\n{}",
            table.stdout
        );
    }
    let customer = &shipped["customer_id"].as_str().unwrap();
    let arguments = [
        "query",
        "order-summary",
        "orders",
        &format!("customer_id=eq.{customer}"),
        "--json",
    ];
    let json = host.cli(&arguments).json();
    let expected = model
        .orders
        .values()
        .filter(|row| row["customer_id"] == **customer)
        .count();
    assert_eq!(json.as_array().map(Vec::len), Some(expected), "{json}");
    let fresh = host.cli(&[
        "query",
        "product-sales",
        "products",
        "--min-sequence",
        "1000",
        "--json",
    ]);
    assert_eq!(
        fresh.json().as_array().map(Vec::len),
        Some(model.products.len().min(100))
    );
}

#[test]
fn a_query_that_cannot_be_answered_says_what_could() {
    let (_nats, host, _) = caught_up();
    for (arguments, parts) in [
        (
            &["order-sumary", "orders"][..],
            &["order-sumary", "order-summary"][..],
        ),
        (&["order-summary", "order"], &["order", "orders"]),
        (
            &["order-summary", "orders", "colour=eq.red"],
            &["colour", "customer_id"],
        ),
        (
            &["order-summary", "orders", "total=about.3"],
            &["about", "eq"],
        ),
        (
            &["order-summary", "orders", "total=eq.cheap"],
            &["cheap", "total"],
        ),
    ] {
        host.cli(&[&["query"], arguments].concat())
            .assert_explains(1, parts);
    }
    host.cli(&["status", "order-sumary"])
        .assert_explains(1, &["order-sumary", "order-summary"]);
}

#[test]
fn errors_over_http_are_problem_documents_with_a_hint() {
    let (_nats, host, _) = caught_up();
    for (path, code) in [
        ("/v1/read-models/order-sumary/orders", 404),
        ("/v1/read-models/order-summary/order", 404),
        ("/v1/read-models/order-summary/orders/nobody", 404),
        ("/v1/read-models/order-summary/orders?colour=eq.red", 400),
        ("/v1/read-models/order-summary/orders?limit=1001", 400),
        ("/v1/read-models/order-summary/orders?order=total.up", 400),
        (
            "/v1/read-models/order-summary/orders?min_sequence=soon",
            400,
        ),
        ("/v1/projections/order-sumary", 404),
        ("/nowhere", 404),
    ] {
        let answer = host.get(path);
        assert_eq!(
            (answer.code, answer.content_type.as_str()),
            (code, "application/problem+json"),
            "{path}"
        );
        for field in ["title", "detail", "hint"] {
            assert!(
                answer.body[field].is_string(),
                "{path} has no {field}: {answer:?}"
            );
        }
    }
}

#[test]
fn inspect_says_what_a_module_is_without_a_host() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("summary.wasm");
    std::fs::write(&file, module("order-summary")).unwrap();
    let file = file.to_str().unwrap();

    let text = foldline(&["inspect", file]);
    assert_eq!(text.code, 0, "{text:?}");
    for part in [
        "order-summary",
        "orders.>",
        "customer_id",
        "tracking_number",
        "real",
    ] {
        assert!(
            text.stdout.contains(part),
            "{part} is not shown:\n{}",
            text.stdout
        );
    }
    let json = foldline(&["inspect", file, "--json"]).json();
    assert_eq!(
        (&json["name"], &json["version"]),
        (&"order-summary".into(), &1.into()),
        "{json}"
    );
    assert_eq!(json["size"], module("order-summary").len(), "{json}");
    assert_eq!(json["digest"].as_str().map(str::len), Some(64), "{json}");
    assert!(
        json["verdict"].is_string() && json["tables"].is_array(),
        "{json}"
    );
}

#[test]
fn inspect_refuses_what_the_host_would_refuse() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let file = folder.path().join(name);
        std::fs::write(&file, bytes).unwrap();
        file.to_str().unwrap().to_owned()
    };
    let whole = module("order-summary");
    for (path, part) in [
        (file("text.wasm", b"text"), "not WebAssembly"),
        (
            file("half.wasm", &whole[..whole.len() / 2]),
            "no valid WebAssembly",
        ),
        (
            file("describe.wasm", &module("describe-traps")),
            "`describe` failed",
        ),
        ("/nowhere/x.wasm".to_owned(), "/nowhere/x.wasm"),
    ] {
        foldline(&["inspect", &path]).assert_explains(1, &[part]);
    }
}

#[test]
fn inspect_refuses_a_module_that_is_cut_off_anywhere() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cut.wasm");
    let whole = module("ledger");
    for length in (1..whole.len()).step_by(whole.len() / 40) {
        std::fs::write(&file, &whole[..length]).unwrap();
        let output = foldline(&["inspect", file.to_str().unwrap()]);
        output.assert_explains(1, &["WebAssembly"]);
        assert!(
            !output.stderr.contains("panicked"),
            "cut at {length}: {output:?}"
        );
    }
}

#[test]
fn help_and_version_are_printed() {
    for arguments in [
        &["--help"][..],
        &["--version"],
        &["run", "--help"],
        &["query", "--help"],
    ] {
        let output = foldline(arguments);
        assert_eq!((output.code, output.stderr.as_str()), (0, ""), "{output:?}");
        assert!(output.stdout.contains("foldline"), "{output:?}");
    }
}

/// Rows as JSON keep their types: numbers are numbers, null is null.
#[test]
fn rows_keep_their_types() {
    let (_nats, host, model) = caught_up();
    let (id, _) = model
        .orders
        .iter()
        .find(|(_, row)| row["status"] == "placed")
        .unwrap();
    let row = host.row("order-summary", "orders", id).unwrap();
    assert!(row["total"].is_f64() && row["item_count"].is_i64(), "{row}");
    assert!(row["order_id"].is_string(), "{row}");
    assert_eq!(row["tracking_number"], Value::Null, "{row}");
}
