//! The order events as a hand-written service reads them: typed and borrowing from the payload.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Envelope<'e> {
    pub(super) event_type: &'e str,
    #[serde(borrow)]
    pub(super) aggregate_id: Cow<'e, str>,
    #[serde(borrow)]
    pub(super) timestamp: Cow<'e, str>,
    pub(super) version: i64,
    #[serde(borrow)]
    pub(super) payload: &'e RawValue,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OrderPlaced<'e> {
    #[serde(borrow)]
    pub(super) customer_id: Cow<'e, str>,
    pub(super) items: Vec<Item>,
    pub(super) total_amount: f64,
}

#[derive(Deserialize)]
pub(super) struct Item {
    pub(super) quantity: i64,
}

#[derive(Deserialize)]
pub(super) struct PaymentProcessed<'e> {
    #[serde(borrow)]
    pub(super) status: Cow<'e, str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OrderShipped<'e> {
    #[serde(borrow)]
    pub(super) tracking_number: Cow<'e, str>,
}
