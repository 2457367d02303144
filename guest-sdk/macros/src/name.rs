//! The names the contract allows.

/// Longest name of a projection, table or column, in characters.
const LONGEST: usize = 63;

/// Checks a table or column name: `[a-z][a-z0-9_]*`.
pub(crate) fn check_sql(kind: &str, name: &str) -> Result<(), String> {
    check(kind, name, '_')
}

/// Checks a projection name: `[a-z][a-z0-9-]*`.
pub(crate) fn check_projection(name: &str) -> Result<(), String> {
    check("projection", name, '-')
}

fn check(kind: &str, name: &str, separator: char) -> Result<(), String> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == separator;
    if !name.starts_with(|c: char| c.is_ascii_lowercase()) || !name.chars().all(allowed) {
        return Err(format!(
            "`{name}` cannot be the name of a {kind}: write lower-case letters, digits \
             and `{separator}`, beginning with a letter"
        ));
    }
    if name.len() > LONGEST {
        let length = name.len();
        return Err(format!(
            "the name of a {kind} has at most {LONGEST} characters, this one has {length}"
        ));
    }
    Ok(())
}

/// `OrderLine` as `order_line`.
pub(crate) fn snake_case(name: &str) -> String {
    let mut snake = String::new();
    let mut after_lower = false;
    for c in name.chars() {
        if c.is_uppercase() && after_lower {
            snake.push('_');
        }
        after_lower = !c.is_uppercase();
        snake.extend(c.to_lowercase());
    }
    snake
}

#[cfg(test)]
mod tests {
    use super::{check_projection, check_sql, snake_case};

    #[test]
    fn struct_names_become_snake_case() {
        for (name, snake) in [
            ("Order", "order"),
            ("OrderLine", "order_line"),
            ("SKU", "sku"),
            ("Top10Item", "top10_item"),
        ] {
            assert_eq!(snake_case(name), snake);
        }
    }

    #[test]
    fn names_follow_the_contract() {
        assert!(check_sql("table", "order_lines2").is_ok());
        assert!(check_projection("order-summary").is_ok());
        for name in [
            "",
            "Orders",
            "2orders",
            "_orders",
            "order-lines",
            "órders",
            &"x".repeat(64),
        ] {
            assert!(check_sql("table", name).is_err(), "{name}");
        }
        assert!(check_projection("order_summary").is_err());
    }
}
