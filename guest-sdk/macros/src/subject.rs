//! NATS subject filters.

/// Checks one subject filter.
pub(crate) fn check(filter: &str) -> Result<(), String> {
    if filter.is_empty() {
        return Err(
            "an empty subject matches nothing: write a NATS subject filter such as \
                    `orders.>`, or `>` for every event"
                .into(),
        );
    }
    if filter.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(format!(
            "the subject `{filter}` contains white space, which NATS does not allow: \
             separate tokens by dots, subjects by commas"
        ));
    }
    let last = filter.split('.').count() - 1;
    filter
        .split('.')
        .enumerate()
        .try_for_each(|(position, token)| check_token(filter, token, position == last))
}

fn check_token(filter: &str, token: &str, last: bool) -> Result<(), String> {
    match token {
        "" => Err(format!(
            "the subject `{filter}` has an empty token: remove the extra dot, or write \
             `*` for any one token"
        )),
        ">" if !last => Err(format!(
            "in the subject `{filter}`, `>` is not last: it stands for all that \
             follows; write `*` for one token"
        )),
        "*" | ">" => Ok(()),
        _ if token.contains(['*', '>']) => Err(format!(
            "in the subject `{filter}`, the wildcard in `{token}` is not a token of its \
             own: `*` and `>` stand for whole tokens"
        )),
        _ => Ok(()),
    }
}

/// Whether a subject that matches `filter` can have a token at `position`, counted from 0.
pub(crate) fn can_have_token(filter: &str, position: u32) -> bool {
    let tokens = filter.split('.').count();
    filter.ends_with('>') || (position as usize) < tokens
}

#[cfg(test)]
mod tests {
    use super::{can_have_token, check};

    #[test]
    fn filters_follow_nats() {
        for filter in [
            "orders",
            "orders.>",
            "orders.*.OrderPlaced",
            ">",
            "*",
            "$EVENTS.a-b_c",
        ] {
            assert_eq!(check(filter), Ok(()));
        }
        for filter in [
            "",
            " ",
            "orders.",
            ".orders",
            "orders..x",
            "orders.>.x",
            "or ders",
            "orders.\n",
            "orders*",
            "a.b>",
        ] {
            assert!(check(filter).is_err(), "{filter:?}");
        }
    }

    #[test]
    fn tokens_of_a_filter_are_counted_from_0() {
        assert!(can_have_token("orders.*", 1) && !can_have_token("orders.*", 2));
        assert!(can_have_token("orders.>", 7));
    }
}
