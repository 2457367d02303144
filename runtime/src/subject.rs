//! Subjects and subject filters, with NATS' matching rules.

use std::fmt;
use std::str::FromStr;

/// A pattern over subjects: `*` stands for one token, a last `>` for one or more.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SubjectFilter {
    text: String,
    tokens: Vec<Token>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Token {
    Literal(String),
    /// `*`
    One,
    /// `>`, only ever last
    Rest,
}

/// Why a text is no subject filter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubjectError {
    /// Nothing between two dots, at an end, or at all.
    #[error("subject filter {0:?} has an empty token")]
    EmptyToken(String),
    /// `>` followed by more tokens.
    #[error("subject filter {0:?} has `>` before its end")]
    RestNotLast(String),
    /// White space or a control character.
    #[error("subject filter {0:?} contains white space or a control character")]
    WhiteSpace(String),
}

impl FromStr for SubjectFilter {
    type Err = SubjectError;

    fn from_str(text: &str) -> Result<Self, SubjectError> {
        if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(SubjectError::WhiteSpace(text.to_owned()));
        }
        let count = text.split('.').count();
        let tokens = text
            .split('.')
            .enumerate()
            .map(|(i, token)| match token {
                "" => Err(SubjectError::EmptyToken(text.to_owned())),
                "*" => Ok(Token::One),
                ">" if i + 1 == count => Ok(Token::Rest),
                ">" => Err(SubjectError::RestNotLast(text.to_owned())),
                literal => Ok(Token::Literal(literal.to_owned())),
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            text: text.to_owned(),
            tokens,
        })
    }
}

impl SubjectFilter {
    /// Whether the filter covers `subject`.
    pub fn matches(&self, subject: &str) -> bool {
        let mut rest = subject.split('.');
        for token in &self.tokens {
            match (token, rest.next()) {
                (Token::Rest, Some(_)) => return true,
                (Token::One, Some(_)) => {}
                (Token::Literal(literal), Some(found)) if literal == found => {}
                _ => return false,
            }
        }
        rest.next().is_none()
    }

    /// Whether some subject could match both filters: how a stream is found for a projection.
    pub fn overlaps(&self, other: &Self) -> bool {
        let (mut ours, mut theirs) = (self.tokens.iter(), other.tokens.iter());
        loop {
            match (ours.next(), theirs.next()) {
                (None, None) => return true,
                (Some(Token::Rest), Some(_)) | (Some(_), Some(Token::Rest)) => return true,
                (Some(Token::Literal(a)), Some(Token::Literal(b))) if a != b => return false,
                (Some(_), Some(_)) => {}
                _ => return false,
            }
        }
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for SubjectFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(text: &str) -> SubjectFilter {
        text.parse().unwrap()
    }

    #[test]
    fn literal_filters_match_only_themselves() {
        assert!(filter("orders.a").matches("orders.a"));
        for other in ["orders", "orders.b", "orders.a.b", "Orders.a"] {
            assert!(!filter("orders.a").matches(other), "{other}");
        }
    }

    #[test]
    fn star_is_exactly_one_token_and_rest_is_one_or_more() {
        assert!(filter("orders.*.OrderPlaced").matches("orders.1.OrderPlaced"));
        assert!(!filter("orders.*.OrderPlaced").matches("orders.1.2.OrderPlaced"));
        assert!(filter("orders.>").matches("orders.1.OrderPlaced"));
        assert!(!filter("orders.>").matches("orders"));
        assert!(filter(">").matches("anything.at.all"));
    }

    #[test]
    fn overlap_needs_one_subject_that_both_match() {
        assert!(filter("orders.>").overlaps(&filter("orders.*.OrderPlaced")));
        assert!(filter("*.created").overlaps(&filter("orders.*")));
        assert!(!filter("orders.>").overlaps(&filter("orders")));
        assert!(!filter("orders.*").overlaps(&filter("payments.*")));
        assert!(!filter("a.b").overlaps(&filter("a.b.c")));
    }

    #[test]
    fn malformed_filters_are_refused_with_the_reason() {
        for (text, error) in [
            ("", SubjectError::EmptyToken(String::new())),
            ("a..b", SubjectError::EmptyToken("a..b".into())),
            ("a.>.b", SubjectError::RestNotLast("a.>.b".into())),
            ("a b", SubjectError::WhiteSpace("a b".into())),
        ] {
            assert_eq!(text.parse::<SubjectFilter>(), Err(error));
        }
    }
}
