//! Rows by filter, order, window and key.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use serde_json::{Value, json};

use super::{Answer, Host};

fn ids(answer: &Answer) -> Vec<&str> {
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    let rows = answer.body.as_array().unwrap();
    rows.iter()
        .map(|row| row["order_id"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn rows_are_objects_by_column_name_in_json_types() {
    let answer = Host::new().orders("").await;
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("foldline-sequence"), "42");
    assert_eq!(
        answer.body[0],
        json!({"order_id": "o-1", "customer_id": "ann", "total": 10.0, "items": 1, "paid": false,
               "note": null, "meta": null, "raw": null})
    );
    assert_eq!(
        answer.body[1],
        json!({"order_id": "o-2", "customer_id": "bob", "total": 25.5, "items": 3, "paid": true,
               "note": "a \"quoted\" note", "meta": {"gift": true}, "raw": "AP8Q"})
    );
    assert_eq!(ids(&answer), ["o-1", "o-2", "o-3"]);
}

#[tokio::test]
async fn filters_compare_in_the_columns_type() {
    let host = Host::new();
    for (query, expected) in [
        ("customer_id=eq.ann", vec!["o-1", "o-3"]),
        ("customer_id=neq.ann", vec!["o-2"]),
        ("total=gt.9.5", vec!["o-1", "o-2"]),
        ("total=gte.10", vec!["o-1", "o-2"]),
        ("items=lt.3&items=gt.1", vec!["o-3"]),
        ("items=lte.2", vec!["o-1", "o-3"]),
        ("paid=eq.true", vec!["o-2", "o-3"]),
        ("note=is.null", vec!["o-1"]),
        ("meta=is.not_null", vec!["o-2", "o-3"]),
        ("note=eq.", vec!["o-3"]),
        ("note=eq.a+%22quoted%22%20note", vec!["o-2"]),
        ("raw=eq.AP8Q", vec!["o-2"]),
        ("column.customer_id=eq.bob", vec!["o-2"]),
        ("customer_id=eq.eq.ann", vec![]),
    ] {
        assert_eq!(ids(&host.orders(query).await), expected, "{query}");
    }
}

#[tokio::test]
async fn order_limit_and_offset_page_through_the_rows() {
    let host = Host::new();
    for (query, expected) in [
        ("order=total.desc", vec!["o-2", "o-1", "o-3"]),
        ("order=customer_id.desc,total", vec!["o-2", "o-3", "o-1"]),
        ("order=order_id.desc&limit=1", vec!["o-3"]),
        ("limit=2&offset=1", vec!["o-2", "o-3"]),
        ("offset=18446744073709551615", vec![]),
    ] {
        assert_eq!(ids(&host.orders(query).await), expected, "{query}");
    }
}

#[tokio::test]
async fn select_answers_only_those_columns_in_that_order() {
    let answer = Host::new().orders("select=total,order_id&limit=1").await;
    assert_eq!(answer.body, json!([{"total": 10.0, "order_id": "o-1"}]));
}

#[tokio::test]
async fn columns_named_like_parameters_are_filtered_with_a_prefix() {
    let host = Host::new();
    let stock = |query: &str| format!("/v1/read-models/order-summary/stock?{query}");
    let answer = host
        .get(&stock("column.limit=eq.5&column.order=is.null&limit=1"))
        .await;
    assert_eq!(
        answer.body,
        json!([{"warehouse": "a,b", "sku": 7, "limit": 5, "order": null}])
    );
    let problem = host.get(&stock("limit=eq.5")).await.problem();
    assert!(problem.contains("column.limit=OPERATOR.VALUE"), "{problem}");
}

#[tokio::test]
async fn more_conditions_than_a_database_takes_are_the_clients_mistake() {
    let host = Host::new();
    let many = |conditions| format!("limit=1{}", "&items=gt.0".repeat(conditions));
    assert_eq!(ids(&host.orders(&many(200)).await), ["o-1"]);
    let problem = host.orders(&many(201)).await.problem();
    assert!(problem.contains("more than 200 conditions"), "{problem}");
}

#[tokio::test]
async fn what_a_read_cannot_mean_is_refused_with_what_there_is() {
    let host = Host::new();
    for (query, expected) in [
        (
            "customer=eq.ann",
            "no column \"customer\" hint: its columns: order_id, customer_id, total",
        ),
        (
            "customer_id=ann",
            "write customer_id=OPERATOR.VALUE with one of eq, neq, gt, gte, lt, lte, is",
        ),
        (
            "customer_id=like.a*",
            "customer_id=like.a* does not begin with an operator",
        ),
        (
            "items=eq.three",
            "\"three\" is no value of column items, which is integer",
        ),
        (
            "items=eq.9223372036854775808",
            "is no value of column items",
        ),
        ("total=gt.NaN", "is no value of column total"),
        ("paid=eq.1", "write true or false"),
        ("raw=eq.%00", "base64"),
        ("note=is.empty", "`is` takes null or not_null"),
        ("meta=eq.1", "holds JSON"),
        ("order=meta", "holds JSON"),
        (
            "order=total.down",
            "write order=COLUMN.asc or order=COLUMN.desc",
        ),
        ("order=", "no column \"\""),
        ("order=total,paid,total.desc", "names column total twice"),
        ("select=total,total", "names column total twice"),
        ("select=*", "no column \"*\""),
        ("limit=0", "outside 1 to 1000"),
        ("limit=1001", "outside 1 to 1000"),
        ("limit=-1", "no whole number"),
        ("offset=x", "no whole number"),
        ("min_sequence=x", "no whole number"),
        ("timeout=soon", "no time from 0 to 60s"),
        ("timeout=61s", "no time from 0 to 60s"),
        ("timeout=-1", "no time from 0 to 60s"),
        ("timeout=inf", "no time from 0 to 60s"),
        ("note=eq.%zz", "has a %"),
        ("note=eq.%ff", "is not UTF-8"),
    ] {
        let answer = host.orders(query).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{query}");
        let problem = answer.problem();
        assert!(problem.contains(expected), "{query}: {problem}");
    }
}

#[tokio::test]
async fn a_row_is_found_by_its_key() {
    let host = Host::new();
    let answer = host
        .get("/v1/read-models/order-summary/orders/o-2?select=total")
        .await;
    assert_eq!(answer.body, json!({"total": 25.5}));
    assert_eq!(answer.header("foldline-sequence"), "42");
}

#[tokio::test]
async fn composite_keys_are_separated_by_commas_and_percent_encoded() {
    let host = Host::new();
    let limit = async |key: &str| {
        let answer = host
            .get(&format!("/v1/read-models/order-summary/stock/{key}"))
            .await;
        answer.body["limit"].as_i64()
    };
    assert_eq!(limit("z%C3%BCrich,7").await, Some(100));
    assert_eq!(limit("z%C3%BCrich,8").await, Some(5));
    assert_eq!(limit("a%2Cb,7").await, Some(5));
    let refused = host.get("/v1/read-models/order-summary/stock/a,b,7").await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    let problem = refused.problem();
    assert!(
        problem.contains("has 3 parts, but the key of stock is: warehouse, sku"),
        "{problem}"
    );
    assert!(problem.contains("%2C"), "{problem}");
}

#[tokio::test]
async fn a_row_that_is_not_there_is_a_problem_at_a_sequence() {
    let host = Host::new();
    let answer = host.get("/v1/read-models/order-summary/orders/o-9").await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    assert_eq!(answer.header("foldline-sequence"), "42");
    assert!(answer.problem().contains("min_sequence"));
    let filtered = host
        .get("/v1/read-models/order-summary/orders/o-2?items=eq.3")
        .await;
    assert!(
        filtered
            .problem()
            .contains("items has no meaning for a single row")
    );
    let of_wrong_type = host.get("/v1/read-models/order-summary/stock/a,x").await;
    assert!(
        of_wrong_type
            .problem()
            .contains("is no value of column sku")
    );
}

#[tokio::test]
async fn the_etag_stays_until_the_read_model_moves() {
    let host = Host::new();
    let ask = async |path: &str, etag: &str| {
        let request = Request::get(path).header("if-none-match", etag);
        host.send(request.body(Body::empty()).unwrap()).await
    };
    for path in [
        "/v1/read-models/order-summary/orders",
        "/v1/read-models/order-summary/orders/o-1",
    ] {
        let first = host.get(path).await;
        let etag = first.header("etag").to_owned();
        for known in [
            etag.clone(),
            format!("W/{etag}"),
            format!("\"other\", {etag}"),
            "*".into(),
        ] {
            let same = ask(path, &known).await;
            assert_eq!(
                (same.status, same.body),
                (StatusCode::NOT_MODIFIED, Value::Null),
                "{known}"
            );
            assert_eq!(same.headers["etag"], first.headers["etag"]);
        }
        let sequence = first.header("foldline-sequence").parse::<u64>().unwrap();
        host.fixture.checkpoint(sequence + 1);
        let moved = ask(path, &etag).await;
        assert_eq!(moved.status, StatusCode::OK);
        assert_ne!(moved.headers["etag"], first.headers["etag"]);
    }
}

#[tokio::test]
async fn what_is_not_there_is_answered_with_what_is() {
    let host = Host::new();
    host.also("starting-up", crate::projection::State::Starting);
    for (path, status, expected) in [
        (
            "/v1/read-models/nobody/orders",
            404,
            "no projection \"nobody\" hint: there are: order-summary, starting-up",
        ),
        (
            "/v1/read-models/order-summary/customers",
            404,
            "no table \"customers\" hint: its tables: orders, stock",
        ),
        (
            "/v1/read-models/starting-up/orders",
            503,
            "projection starting-up is starting",
        ),
        (
            "/v1/read-models/order-summary",
            404,
            "/v1/read-models/{name}/{table}",
        ),
        ("/nothing", 404, "nothing is served at /nothing"),
    ] {
        let answer = host.get(path).await;
        assert_eq!(answer.status.as_u16(), status, "{path}");
        let problem = answer.problem();
        assert!(problem.contains(expected), "{path}: {problem}");
    }
    let post = Request::post("/v1/read-models/order-summary/orders").body(Body::from("{bad json"));
    let answer = host.send(post.unwrap()).await;
    assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
    assert!(answer.problem().contains("POST is not answered at"));
    assert!(answer.header("allow").contains("GET"));
}

#[tokio::test]
async fn a_read_model_that_cannot_be_opened_is_a_problem_of_the_host() {
    let host = Host::new();
    std::fs::remove_file(host.fixture.path()).unwrap();
    let answer = host.orders("").await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(answer.problem().contains("read-model.db"));
}
