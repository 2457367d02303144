//! What went wrong and what to do about it.

use std::fmt::Display;

use anyhow::{Error, Result};

/// An error with advice: printed as `error: …` and `hint: …`.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    message: String,
    hint: String,
}

impl Failure {
    /// `message` says what went wrong, naming the thing; `hint` what to do next.
    pub fn new(message: impl Display, hint: impl Display) -> Self {
        Self {
            message: message.to_string(),
            hint: hint.to_string(),
        }
    }
}

/// Adds a message and advice to an error that only says what broke.
pub trait OrFail<T> {
    /// Puts `message` in front of the error, and `hint` below it.
    ///
    /// # Errors
    /// The same ones, with more to say.
    fn or_fail(self, message: impl Display, hint: impl Display) -> Result<T>;
}

impl<T, E> OrFail<T> for Result<T, E>
where
    E: Into<Error>,
{
    fn or_fail(self, message: impl Display, hint: impl Display) -> Result<T> {
        self.map_err(|error| error.into().context(Failure::new(message, hint)))
    }
}

/// Prints the whole chain of causes on stderr, then the advice nearest to the person.
pub fn print(error: &Error) {
    eprintln!("error: {error:#}");
    if let Some(failure) = error.downcast_ref::<Failure>() {
        eprintln!("hint: {}", failure.hint);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_survives_further_context() {
        let result: Result<()> = Err(anyhow::anyhow!("cause")).or_fail("broken", "repair it");
        let error = result.unwrap_err().context("while testing");
        assert_eq!(format!("{error:#}"), "while testing: broken: cause");
        assert_eq!(error.downcast_ref::<Failure>().unwrap().hint, "repair it");
    }
}
