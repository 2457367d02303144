//! What the generations of the examples and of the ledger must hold at any checkpoint.

use foldline_tests::data::{Generation, generations};
use foldline_tests::host::Host;
use foldline_tests::model::Model;
use foldline_tests::orders::Event;
use foldline_tests::rows;
use serde_json::json;

use crate::generations::without_new_column;

/// Models kept on the way.
const KEPT: usize = 16;

/// A history and what it must give.
pub(super) struct Expected {
    pub(super) history: Vec<Event>,
    every: usize,
    models: Vec<Model>,
}

impl Expected {
    pub(super) fn of(history: Vec<Event>) -> Self {
        let every = history.len().div_ceil(KEPT);
        let mut models = vec![Model::default()];
        for chunk in history.chunks(every) {
            let mut model = models[models.len() - 1].clone();
            chunk.iter().for_each(|event| model.apply(event));
            models.push(model);
        }
        Self {
            history,
            every,
            models,
        }
    }

    fn at(&self, sequence: usize) -> Model {
        let mut model = self.models[sequence / self.every].clone();
        let rest = &self.history[sequence / self.every * self.every..sequence];
        rest.iter().for_each(|event| model.apply(event));
        model
    }

    /// Every generation of this projection equals the model at its own checkpoint, which is one of the `published` events,
    /// and one is live; none are there before the first was entered.
    #[track_caller]
    pub(super) fn assert_on_disk(
        &self,
        host: &Host,
        name: &str,
        published: u64,
    ) -> Vec<Generation> {
        let found = generations(&host.data(), name);
        let live = found.iter().filter(|one| one.state == "live").count();
        assert!(live == 1 || found.is_empty(), "{found:?}");
        for one in &found {
            assert!(one.sequence <= published, "{one:?} of {published} events");
            self.assert_generation(name, one);
            assert!(
                one.dead_letters().is_empty() && one.held_events().is_empty(),
                "{one:?}"
            );
        }
        found
    }

    #[track_caller]
    fn assert_generation(&self, name: &str, one: &Generation) {
        let sequence = usize::try_from(one.sequence).unwrap();
        let what = format!(
            "{name}, generation {} ({}) at {sequence}",
            one.number, one.state
        );
        if name == "ledger" {
            return self.assert_ledger(&what, one, sequence);
        }
        let model = self.at(sequence);
        let (table, key, expected) = match name {
            "order-summary" => ("orders", "order_id", model.orders),
            "customer-totals" => ("customers", "customer_id", model.customers),
            _ => ("products", "product_id", model.products),
        };
        let mut found = one.rows(table, key);
        if name == "order-summary" && one.version == 2 {
            found = without_new_column(found);
        }
        rows::assert_equal(&what, &found, &expected);
    }

    #[track_caller]
    fn assert_ledger(&self, what: &str, one: &Generation, sequence: usize) {
        let entries = (1..).zip(&self.history[..sequence]);
        let row = |(sequence, event): (u64, &Event)| {
            let row = json!({"sequence": sequence, "subject": event.subject, "times": 1});
            (sequence.to_string(), row)
        };
        rows::assert_equal(
            what,
            &one.rows("entries", "sequence"),
            &entries.map(row).collect(),
        );
        let head = one.rows("heads", "id").remove("head");
        assert_eq!(head.is_none(), sequence == 0, "{what}");
        if let Some(head) = head {
            let disorders = head["disorders"].as_u64();
            assert_eq!(
                (head["last_sequence"].as_u64(), disorders),
                (Some(one.sequence), Some(0)),
                "{what}: {head}"
            );
        }
    }
}
